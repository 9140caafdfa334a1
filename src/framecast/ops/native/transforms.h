/* The transforms of winograd.h, which sets TILE, for one row or column of a tile. A tile is transformed by its columns and
 * then by the rows of the result, or the other way round. */
#ifndef TRANSFORMS_H
#define TRANSFORMS_H

#include "matrix.h"

#define PLACES (TILE * TILE)
#define PAIRS (TILE / 2 - 1)

/* The points are 0, infinity and PAIRS pairs p, -p. Polynomials in x^2, from the lowest coefficient: AT_ZERO is the product
 * of x^2 - p^2, scaled, and x AT_ZERO that of infinity (but for its sign); (x^2 +- p x) AT_POINT[k] are those of the
 * k-th pair. POWERS are those of p. */
#if TILE == 6
#define MOST 4 /* the largest step */
static const float POWERS[PAIRS][MOST] = {{1, 2 / 3.f, 4 / 9.f, 8 / 27.f}, {1, 1.5f, 2.25f, 3.375f}};
static const float AT_ZERO[] = {0.5f, -97 / 72.f, 0.5f};
static const float AT_POINT[PAIRS][PAIRS] = {{729 / 520.f, -81 / 130.f}, {-128 / 585.f, 32 / 65.f}};
#elif TILE == 8
#define MOST 6
static const float POWERS[PAIRS][MOST] = {
    {1, 1, 1, 1, 1, 1}, {1, 2, 4, 8, 16, 32}, {1, 1 / 2.f, 1 / 4.f, 1 / 8.f, 1 / 16.f, 1 / 32.f}};
static const float AT_ZERO[] = {1 / 4.f, -21 / 16.f, 21 / 16.f, -1 / 4.f};
static const float AT_POINT[PAIRS][PAIRS] = {
    {-2 / 9.f, 17 / 18.f, -2 / 9.f}, {4 / 45.f, -4 / 9.f, 16 / 45.f}, {32 / 45.f, -8 / 9.f, 8 / 45.f}};
#else
#define MOST 4
static const float POWERS[PAIRS][MOST] = {
    {1, 0.4f, 0.16f, 0.064f}, {1, 0.8f, 0.64f, 0.512f}, {1, 1.25f, 1.5625f, 1.953125f}, {1, 2.5f, 6.25f, 15.625f}};
static const float AT_ZERO[] = {0.0625f, -0.53828125f, 1.0073765625f, -0.53828125f, 0.0625f};
static const float AT_POINT[PAIRS][PAIRS] = {
    {0.59549568f, -1.40685868f, 0.80534838f, -0.0952793127f},
    {-0.122851253f, 0.866101303f, -0.626836256f, 0.0786247995f},
    {0.0675381944f, -0.538448208f, 0.743975427f, -0.105528423f},
    {-0.0204610767f, 0.172947259f, -0.302120594f, 0.127881736f},
};
#endif
#define SIGN (PAIRS % 2 ? -1.f : 1.f)

/* One row or column of a tile, in registers. */
typedef Lanes Line[TILE];

/* out = B^T in. */
INLINE void input_transform_line(const Line in, Line out) {
    Lanes zero = {0}, infinity = {0};
    WRITTEN_OUT for (int i = 0; i <= PAIRS; i++) zero += AT_ZERO[i] * in[2 * i];
    WRITTEN_OUT for (int i = 0; i <= PAIRS; i++) infinity += SIGN * AT_ZERO[i] * in[2 * i + 1];
    out[0] = zero;
    out[TILE - 1] = infinity;
    WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
        Lanes even = {0}, odd = {0};
        WRITTEN_OUT for (int i = 0; i < PAIRS; i++) {
            even += AT_POINT[p][i] * in[2 * i + 2];
            odd += POWERS[p][1] * AT_POINT[p][i] * in[2 * i + 1];
        }
        out[2 * p + 1] = even + odd;
        out[2 * p + 2] = even - odd;
    }
}

/* out = B in. */
INLINE void input_transform_adjoint_line(const Line in, Line out) {
    Lanes even[PAIRS], odd[PAIRS];
    WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
        even[p] = in[2 * p + 1] + in[2 * p + 2];
        odd[p] = POWERS[p][1] * (in[2 * p + 1] - in[2 * p + 2]);
    }
    WRITTEN_OUT for (int i = 0; i <= PAIRS; i++) {
        Lanes sum = AT_ZERO[i] * in[0], odd_sum = SIGN * AT_ZERO[i] * in[TILE - 1];
        WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
            if (i > 0) sum += AT_POINT[p][i - 1] * even[p];
            if (i < PAIRS) odd_sum += AT_POINT[p][i] * odd[p];
        }
        out[2 * i] = sum;
        out[2 * i + 1] = odd_sum;
    }
}

/* out = A^T in: `step` results. */
INLINE void output_transform_line(const Line in, Line out, int64_t step) {
    Lanes sum[2][PAIRS];
    WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
        sum[0][p] = in[2 * p + 1] + in[2 * p + 2];
        sum[1][p] = in[2 * p + 1] - in[2 * p + 2];
    }
    WRITTEN_OUT for (int r = 0; r < MOST; r++) {
        Lanes result = {0};
        if (r == 0) result = in[0];
        if (r == step - 1) result = in[TILE - 1];
        WRITTEN_OUT for (int p = 0; p < PAIRS; p++) result += POWERS[p][r] * sum[r % 2][p];
        out[r] = result;
    }
}

/* out = A in, where the inputs from `step` on count as zero. */
INLINE void output_transform_adjoint_line(const Line in, Line out, int64_t step) {
    out[0] = in[0];
    out[TILE - 1] = (Lanes){0}; /* the compiler does not know that `step` is at least 2 */
    WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
        Lanes even = in[0], odd = POWERS[p][1] * in[1];
        WRITTEN_OUT for (int r = 2; r < MOST; r += 2) {
            even += POWERS[p][r] * in[r];
            odd += POWERS[p][r + 1] * in[r + 1];
        }
        out[2 * p + 1] = even + odd;
        out[2 * p + 2] = even - odd;
    }
    WRITTEN_OUT for (int r = 1; r < MOST; r++) {
        if (r == step - 1) out[TILE - 1] = in[r];
    }
}

/* out = matrix (after, before) in. */
INLINE void apply(const float *matrix, int64_t row, int64_t column, int64_t after, int64_t before, const Line in, Line out) {
    for (int64_t i = 0; i < after; i++) {
        Lanes sum = {0};
        for (int64_t k = 0; k < before; k++) sum += matrix[i * row + k * column] * in[k];
        out[i] = sum;
    }
}

#endif

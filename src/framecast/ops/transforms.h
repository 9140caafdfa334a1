/* The transforms of winograd.h, where TILE is set: of tiles in registers, from both sides. */
#ifndef TRANSFORMS_H
#define TRANSFORMS_H

#include "matrix.h"

#define PLACES (TILE * TILE)
#define PAIRS (TILE / 2 - 1)

/* The points are 0, infinity and PAIRS pairs p, -p. Polynomials in x^2, from the lowest coefficient: AT_ZERO is the product
 * of x^2 - p^2, brought to size, and x AT_ZERO that of infinity (but for its sign); (x^2 +- p x) AT_POINT[k] are those of the
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

typedef Lanes Tile[TILE][TILE];

/* A tile whose places lie `apart`. */
INLINE void load_tile(const float *from, int64_t apart, int64_t lanes, Tile tile) {
    for (int p = 0; p < PLACES; p++) tile[p / TILE][p % TILE] = load(from + p * apart, lanes);
}

INLINE void store_tile(float *to, int64_t apart, int64_t lanes, Tile tile) {
    for (int p = 0; p < PLACES; p++) store(to + p * apart, tile[p / TILE][p % TILE], lanes);
}

/* B^T from the left, and transposed: twice makes B^T d B. */
INLINE void back(Tile in, Tile out) {
    for (int j = 0; j < TILE; j++) {
        Lanes zero = {0}, infinity = {0};
        WRITTEN_OUT for (int i = 0; i <= PAIRS; i++) zero += AT_ZERO[i] * in[2 * i][j];
        WRITTEN_OUT for (int i = 0; i <= PAIRS; i++) infinity += SIGN * AT_ZERO[i] * in[2 * i + 1][j];
        out[j][0] = zero;
        out[j][TILE - 1] = infinity;
        WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
            Lanes even = {0}, odd = {0};
            WRITTEN_OUT for (int i = 0; i < PAIRS; i++) {
                even += AT_POINT[p][i] * in[2 * i + 2][j];
                odd += POWERS[p][1] * AT_POINT[p][i] * in[2 * i + 1][j];
            }
            out[j][2 * p + 1] = even + odd;
            out[j][2 * p + 2] = even - odd;
        }
    }
}

/* The transpose of `back`: twice makes B v B^T. */
INLINE void forth(Tile in, Tile out) {
    for (int j = 0; j < TILE; j++) {
        Lanes even[PAIRS], odd[PAIRS];
        WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
            even[p] = in[2 * p + 1][j] + in[2 * p + 2][j];
            odd[p] = POWERS[p][1] * (in[2 * p + 1][j] - in[2 * p + 2][j]);
        }
        WRITTEN_OUT for (int i = 0; i <= PAIRS; i++) {
            Lanes sum = AT_ZERO[i] * in[0][j], beside = SIGN * AT_ZERO[i] * in[TILE - 1][j];
            WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
                if (i > 0) sum += AT_POINT[p][i - 1] * even[p];
                if (i < PAIRS) beside += AT_POINT[p][i] * odd[p];
            }
            out[j][2 * i] = sum;
            out[j][2 * i + 1] = beside;
        }
    }
}

/* A^T from the left, and transposed: twice makes A^T m A. Rows from `step` on hold what is not asked for. */
INLINE void gather(Tile in, Tile out, int64_t step, int64_t columns) {
    for (int64_t j = 0; j < columns; j++) {
        Lanes sum[2][PAIRS];
        WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
            sum[0][p] = in[2 * p + 1][j] + in[2 * p + 2][j];
            sum[1][p] = in[2 * p + 1][j] - in[2 * p + 2][j];
        }
        WRITTEN_OUT for (int r = 0; r < MOST; r++) {
            Lanes row = {0};
            if (r == 0) row = in[0][j];
            WRITTEN_OUT for (int p = 0; p < PAIRS; p++) row += POWERS[p][r] * sum[r % 2][p];
            out[j][r] = row;
        }
        out[j][step - 1] += in[TILE - 1][j];
    }
}

/* The transpose of `gather`, of some columns: twice makes A y A^T. Rows from MOST on are not read, those from `step` to there
 * must be zero. */
INLINE void spread(Tile in, Tile out, int64_t step, int64_t from, int64_t until) {
    for (int64_t j = from; j < until; j++) {
        out[j][0] = in[0][j];
        WRITTEN_OUT for (int p = 0; p < PAIRS; p++) {
            Lanes even = in[0][j], odd = POWERS[p][1] * in[1][j];
            WRITTEN_OUT for (int r = 2; r < MOST; r += 2) {
                even += POWERS[p][r] * in[r][j];
                odd += POWERS[p][r + 1] * in[r + 1][j];
            }
            out[j][2 * p + 1] = even + odd;
            out[j][2 * p + 2] = even - odd;
        }
        out[j][TILE - 1] = in[step - 1][j];
    }
}

/* out = matrix (after, before) from the left, and transposed: twice makes G g G^T, or G^T u G. */
INLINE void apply(const float *matrix, int64_t row, int64_t column, int64_t after, int64_t before, int64_t columns, Tile in,
                  Tile out) {
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < after; i++) {
            Lanes sum = {0};
            for (int64_t k = 0; k < before; k++) sum += matrix[i * row + k * column] * in[k][j];
            out[j][i] = sum;
        }
}

#endif

/* Products of matrices of float32 that are small in at least one direction, a block of the result at a time in registers. */
#ifndef MATRIX_H
#define MATRIX_H

#include "lanes.h"

/* Unrolls short loops. */
#define WRITTEN_OUT _Pragma("GCC unroll 16")

#define LINE 16 /* floats in a line of the caches */

/* out (rows, lanes) = a (rows, depth) b (depth, lanes), or added to it, for a fixed number of rows and registers a row, so
 * that all of it stays in registers: 6 x 4 of the 32 that AVX-512 has, 6 x 2 of the 16 of others, and half of that. What is
 * added to is fetched from memory meanwhile, and from `next` and `also` on, where they are not null, a line for each row of
 * b. */
#define WIDE (LANES == 16 ? 4 : 2)
#define PRODUCT(NAME, ROWS, MANY)                                                                                            \
    INLINE void NAME(const float *a, int64_t a_row, int64_t a_deep, const float *b, int64_t b_deep, int64_t depth,           \
                     float *out, int64_t out_row, int add, int64_t lanes, const float *next, const float *also) {            \
        Lanes sum[ROWS][MANY] = {0};                                                                                         \
        if (add)                                                                                                             \
            WRITTEN_OUT for (int r = 0; r < ROWS; r++) WRITTEN_OUT for (int w = 0; w < MANY; w++)                            \
                __builtin_prefetch(out + r * out_row + w * LANES, 1);                                                        \
        for (int64_t k = 0; k < depth; k++) {                                                                                \
            Lanes right[MANY];                                                                                               \
            WRITTEN_OUT for (int w = 0; w < MANY; w++) right[w] = load(b + k * b_deep + w * LANES, lanes);                   \
            if (next) __builtin_prefetch(next + k * LINE, 0, 2);                                                             \
            if (also) __builtin_prefetch(also + k * LINE, 0, 2);                                                             \
            WRITTEN_OUT for (int r = 0; r < ROWS; r++) {                                                                     \
                float left = a[r * a_row + k * a_deep];                                                                      \
                WRITTEN_OUT for (int w = 0; w < MANY; w++) sum[r][w] += left * right[w];                                     \
            }                                                                                                                \
        }                                                                                                                    \
        WRITTEN_OUT for (int r = 0; r < ROWS; r++) WRITTEN_OUT for (int w = 0; w < MANY; w++) {                              \
            float *to = out + r * out_row + w * LANES;                                                                       \
            store(to, add ? load(to, lanes) + sum[r][w] : sum[r][w], lanes);                                                 \
        }                                                                                                                    \
    }

PRODUCT(six_wide, 6, WIDE)
PRODUCT(four_wide, 4, WIDE)
PRODUCT(two_wide, 2, WIDE)
PRODUCT(one_wide, 1, WIDE)
PRODUCT(six_half, 6, WIDE / 2)
PRODUCT(four_half, 4, WIDE / 2)
PRODUCT(two_half, 2, WIDE / 2)
PRODUCT(one_half, 1, WIDE / 2)
PRODUCT(six, 6, 1)
PRODUCT(four, 4, 1)
PRODUCT(two, 2, 1)
PRODUCT(one, 1, 1)

/* What is fetched into the second cache during a product, for the next one: some floats, then some others. They come evenly,
 * a line or two for each row of b: memory keeps up with that, and what is computed does not wait. */
typedef struct {
    const float *one, *other;
    int64_t ones, others;
} Ahead;

#define NOTHING ((Ahead){0})

/* From where on to fetch when so many floats are `fetched`; null if none are left. */
INLINE const float *next_of(Ahead ahead, int64_t fetched) {
    if (fetched < ahead.ones) return ahead.one + fetched;
    return fetched < ahead.ones + ahead.others ? ahead.other + fetched - ahead.ones : 0;
}

/* out (rows, width) = a (rows, depth) b (depth, width), or added to it. */
static void product(const float *a, int64_t a_row, int64_t a_deep, const float *b, int64_t b_deep, int64_t depth, float *out,
                    int64_t out_row, int64_t rows, int64_t width, int add, Ahead ahead) {
    int64_t fetched = 0, line = depth * LINE, blocks = (rows + 5) / 6 * ((width - 1) / (WIDE * LANES) + 1);
    int twice = ahead.ones + ahead.others > blocks * line;
    for (int64_t w = 0, lanes; w < width; w += lanes) {
        int wide = width - w >= WIDE * LANES, half = !wide && width - w >= WIDE / 2 * LANES;
        lanes = wide ? WIDE * LANES : half ? WIDE / 2 * LANES : min(LANES, width - w);
#define REST a_row, a_deep, b + w, b_deep, depth, out + r *out_row + w, out_row, add
        for (int64_t r = 0, height; r < rows; r += height, fetched += line << twice) {
            height = rows - r >= 6 && rows - r != 8 ? 6 : rows - r >= 4 ? 4 : rows - r >= 2 ? 2 : 1;
            const float *left = a + r * a_row, *next = next_of(ahead, fetched), *also = 0;
            if (twice) also = next_of(ahead, fetched + line);
            if (wide && height == 6)
                six_wide(left, REST, LANES, next, also);
            else if (wide && height == 4)
                four_wide(left, REST, LANES, next, also);
            else if (wide && height == 2)
                two_wide(left, REST, LANES, next, also);
            else if (wide)
                one_wide(left, REST, LANES, next, also);
            else if (half && height == 6)
                six_half(left, REST, LANES, next, also);
            else if (half && height == 4)
                four_half(left, REST, LANES, next, also);
            else if (half && height == 2)
                two_half(left, REST, LANES, next, also);
            else if (half)
                one_half(left, REST, LANES, next, also);
            else if (height == 6 && lanes == LANES)
                six(left, REST, LANES, next, also);
            else if (height == 6)
                six(left, REST, lanes, next, also);
            else if (height == 4)
                four(left, REST, lanes, next, also);
            else if (height == 2)
                two(left, REST, lanes, next, also);
            else
                one(left, REST, lanes, next, also);
        }
#undef REST
    }
}

#endif

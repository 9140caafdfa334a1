/* The inner loops of products.py. Maps are (batch, pixels, channels), sums (3, batch, channels); all float32. */
#include "lanes.h"

#define TOGETHER 256 /* pixels of a partial sum: short sums keep the rounding error small */

/* The inner products of a with b, a with a, and b with b, over the pixels. */
void framecast_products(const float *a, const float *b, int64_t batch, int64_t pixels, int64_t channels, float *sums,
                        int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t map = 0; map < batch; map++)
        for (int64_t c = 0; c < channels; c += LANES) {
            int64_t lanes = min(LANES, channels - c);
            Lanes total[3] = {{0}, {0}, {0}};
            for (int64_t start = 0; start < pixels; start += TOGETHER) {
                Lanes some[3] = {{0}, {0}, {0}};
                for (int64_t n = start; n < min(start + TOGETHER, pixels); n++) {
                    int64_t at = (map * pixels + n) * channels + c;
                    Lanes one = load(a + at, lanes), other = load(b + at, lanes);
                    some[0] += one * other;
                    some[1] += one * one;
                    some[2] += other * other;
                }
                for (int k = 0; k < 3; k++) total[k] += some[k];
            }
            for (int k = 0; k < 3; k++) store(sums + (k * batch + map) * channels + c, total[k], lanes);
        }
}

/* The gradients of a and b from those of the sums: da = d0 b + 2 d1 a, db = d0 a + 2 d2 b. */
void framecast_products_back(const float *a, const float *b, int64_t batch, int64_t pixels, int64_t channels,
                             const float *dsums, float *da, float *db, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t map = 0; map < batch; map++)
        for (int64_t c = 0; c < channels; c += LANES) {
            int64_t lanes = min(LANES, channels - c);
            Lanes dsum[3];
            for (int k = 0; k < 3; k++) dsum[k] = load(dsums + (k * batch + map) * channels + c, lanes);
            for (int64_t n = 0; n < pixels; n++) {
                int64_t at = (map * pixels + n) * channels + c;
                Lanes one = load(a + at, lanes), other = load(b + at, lanes);
                store(da + at, dsum[0] * other + 2 * dsum[1] * one, lanes);
                store(db + at, dsum[0] * one + 2 * dsum[2] * other, lanes);
            }
        }
}

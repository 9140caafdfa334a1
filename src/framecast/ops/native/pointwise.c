/* The inner loop of pointwise.py. */
#include "matrix.h"

#define BLOCK 24 /* pixels of a task */

/* out (pixels, outputs) = b + sum of x W over `count` maps x (pixels, channels), each with its `channels`. W (all channels,
 * outputs) has the rows of one map after the other; b may be null. */
void framecast_mix(const float *const *maps, const int64_t *channels, int64_t count, const float *weight, const float *bias,
                   int64_t pixels, int64_t outputs, float *out, int threads) {
    int64_t blocks = (pixels + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < blocks; n++) {
        int64_t first = n * BLOCK, rows = min(BLOCK, pixels - first);
        const float *part = weight;
        for (int64_t n = first; bias && n < first + rows; n++) memcpy(out + n * outputs, bias, outputs * sizeof(float));
        for (int64_t m = 0; m < count; m++) {
            product(maps[m] + first * channels[m], channels[m], 1, part, outputs, channels[m], out + first * outputs, outputs,
                    rows, outputs, bias || m > 0, NOTHING);
            part += channels[m] * outputs;
        }
    }
}

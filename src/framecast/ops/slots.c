/* The inner loops of slots.py, where the equations stand. Maps are (batch, pixels, channels), weights (slots, batch,
 * channels), biases (slots, channels). */
#include "lanes.h"

typedef struct {
    int64_t slots, rectified, batch, pixels, channels;
} Sizes;

/* Slot n with its bias, without what is below zero if it is one of the first. */
INLINE Lanes slot_at(const float *map, Lanes bias, int rectified, int64_t lanes) {
    Lanes value = load(map, lanes) + bias;
    return rectified ? (Lanes)((Whole)value & (value > 0)) : value;
}

void framecast_fuse(const float *const *maps, const float *biases, const float *weights, Sizes sizes, float *out,
                    int threads) {
    int64_t channels = sizes.channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t pixel = 0; pixel < sizes.batch * sizes.pixels; pixel++) {
        const float *here = weights + pixel / sizes.pixels * channels;
        for (int64_t c = 0; c < channels; c += LANES) {
            Lanes sum = {0};
            for (int64_t n = 0; n < sizes.slots; n++) {
                Lanes bias = load(biases + n * channels + c, channels - c);
                Lanes slot = slot_at(maps[n] + pixel * channels + c, bias, n < sizes.rectified, channels - c);
                sum += load(here + n * sizes.batch * channels + c, channels - c) * slot;
            }
            store(out + pixel * channels + c, sum, channels - c);
        }
    }
}

/* The gradients of the maps, where they are wanted, of the weights, and of the biases for each of the batch. */
void framecast_fuse_back(const float *const *maps, const float *biases, const float *weights, Sizes sizes, const float *dout,
                         float *const *dmaps, float *dbiases, float *dweights, int threads) {
    int64_t channels = sizes.channels, blocks = (channels + LANES - 1) / LANES;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < sizes.batch * blocks; task++)
        for (int64_t n = 0; n < sizes.slots; n++) {
            int64_t c = task % blocks * LANES, lanes = channels - c, one = task / blocks;
            int64_t at = (n * sizes.batch + one) * channels + c, first = one * sizes.pixels * channels + c;
            Lanes bias = load(biases + n * channels + c, lanes), weight = load(weights + at, lanes);
            Lanes dbias = {0}, dweight = {0};
            for (int64_t place = first; place < first + sizes.pixels * channels; place += channels) {
                Lanes after = load(dout + place, lanes);
                Lanes slot = slot_at(maps[n] + place, bias, n < sizes.rectified, lanes), dslot = weight * after;
                if (n < sizes.rectified) dslot = (Lanes)((Whole)dslot & (slot > 0));
                if (dmaps[n]) store(dmaps[n] + place, dslot, lanes);
                dbias += dslot;
                dweight += after * slot;
            }
            store(dbiases + at, dbias, lanes);
            store(dweights + at, dweight, lanes);
        }
}

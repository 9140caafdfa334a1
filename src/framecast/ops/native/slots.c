/* The inner loops of slots.py, which has the equation. Maps are (batch, pixels, channels), weights (slots, batch,
 * channels), biases (slots, channels). */
#include "lanes.h"

typedef struct {
    int64_t slots, rectified, batch, pixels, channels;
} Sizes;

/* A slot plus its bias, rectified if `rectified`. */
INLINE Lanes slot_at(const float *map, Lanes bias, int rectified, int64_t lanes) {
    Lanes value = load(map, lanes) + bias;
    return rectified ? (Lanes)((Integers)value & (value > 0)) : value;
}

void framecast_fuse(const float *const *maps, const float *biases, const float *weights, Sizes sizes, float *out,
                    int threads) {
    int64_t channels = sizes.channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t pixel = 0; pixel < sizes.batch * sizes.pixels; pixel++) {
        const float *slot_weights = weights + pixel / sizes.pixels * channels;
        for (int64_t c = 0; c < channels; c += LANES) {
            Lanes sum = {0};
            for (int64_t n = 0; n < sizes.slots; n++) {
                Lanes bias = load(biases + n * channels + c, channels - c);
                Lanes slot = slot_at(maps[n] + pixel * channels + c, bias, n < sizes.rectified, channels - c);
                sum += load(slot_weights + n * sizes.batch * channels + c, channels - c) * slot;
            }
            store(out + pixel * channels + c, sum, channels - c);
        }
    }
}

typedef struct {
    const float *map, *bias, *weight, *dout;
    float *dmap, *dbias, *dweight;
} Slot;

/* The gradients of one map of one item of the batch, for the channels of `many` registers, or for less than one register. */
INLINE void fuse_slot_back(Slot slot, Sizes sizes, int rectified, int64_t lanes, int many) {
    Lanes bias[4], weight[4], dbias[4] = {{0}}, dweight[4] = {{0}};
    for (int k = 0; k < many; k++) bias[k] = load(slot.bias + k * LANES, lanes);
    for (int k = 0; k < many; k++) weight[k] = load(slot.weight + k * LANES, lanes);
    for (int64_t place = 0; place < sizes.pixels * sizes.channels; place += sizes.channels)
        for (int k = 0; k < many; k++) {
            int64_t at = place + k * LANES;
            Lanes after = load(slot.dout + at, lanes), dmap = weight[k] * after;
            Lanes value = slot_at(slot.map + at, bias[k], rectified, lanes);
            if (rectified) dmap = (Lanes)((Integers)dmap & (value > 0));
            if (slot.dmap) store(slot.dmap + at, dmap, lanes);
            dbias[k] += dmap;
            dweight[k] += after * value;
        }
    for (int k = 0; k < many; k++) store(slot.dbias + k * LANES, dbias[k], lanes);
    for (int k = 0; k < many; k++) store(slot.dweight + k * LANES, dweight[k], lanes);
}

/* The gradients of the maps (null if not needed), of the weights, and of the biases for each item of the batch. */
void framecast_fuse_back(const float *const *maps, const float *biases, const float *weights, Sizes sizes, const float *dout,
                         float *const *dmaps, float *dbiases, float *dweights, int threads) {
    int64_t channels = sizes.channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < sizes.batch * sizes.slots; task++) {
        int64_t one = task / sizes.slots, n = task % sizes.slots, first = one * sizes.pixels * channels;
        for (int64_t c = 0, count; c < channels; c += count) {
            int64_t left = channels - c, at = (n * sizes.batch + one) * channels + c;
            Slot slot = {.map = maps[n] + first + c,
                         .bias = biases + n * channels + c,
                         .weight = weights + at,
                         .dout = dout + first + c,
                         .dmap = dmaps[n] ? dmaps[n] + first + c : 0,
                         .dbias = dbiases + at,
                         .dweight = dweights + at};
            int rectified = n < sizes.rectified, many = left >= 4 * LANES ? 4 : 1;
            count = min(left, many * LANES);
            if (many == 4)
                fuse_slot_back(slot, sizes, rectified, LANES, 4);
            else
                fuse_slot_back(slot, sizes, rectified, count, 1);
        }
    }
}

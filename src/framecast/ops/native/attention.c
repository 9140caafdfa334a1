/* The inner loops of attention.py, which has the equations. Maps are (batch, pixels, channels); those of q, k and v hold the
 * channels of one head after the other. A task is one head, whose queries are processed in blocks. */
#include <float.h>

#include "exponential.h"
#include "matrix.h"
#include "threads.h"

#define BLOCK 24 /* queries, so that their scores stay in cache */

/* `channels` of a query, and of a key; of a value they are `values`. */
typedef struct {
    int64_t batch, heads, queries, keys, channels, values;
    float scale;
} Sizes;

/* Pointers to the first channel of one head at the first pixel. The gradients are those of q, k and v. */
typedef struct {
    const float *q, *k, *v;
    float *dq, *dk, *dv;
} Head;

INLINE int64_t registers(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

/* Offset of a head in a map of `pixels` with `channels` each. */
INLINE int64_t place(Sizes sizes, int64_t task, int64_t pixels, int64_t channels) {
    return (task / sizes.heads * pixels * sizes.heads + task % sizes.heads) * channels;
}

/* Transposes (pixels, channels) with `stride` floats between pixels to (channels, pixels padded with zeros to registers). */
static void transpose(const float *from, int64_t stride, int64_t pixels, int64_t channels, float *to) {
    int64_t row = registers(pixels);
    for (int64_t first = 0; first < row; first += LANES)
        for (int64_t c = 0; c < channels; c++) {
            Lanes values = {0};
            for (int64_t n = 0; n < min(LANES, pixels - first); n++) values[n] = from[(first + n) * stride + c];
            store(to + c * row + first, values, LANES);
        }
}

INLINE float sum_of(Lanes values) {
    float sum = 0;
    for (int n = 0; n < LANES; n++) sum += values[n];
    return sum;
}

INLINE float largest_of(Lanes values) {
    float largest = values[0];
    for (int n = 1; n < LANES; n++) largest = values[n] > largest ? values[n] : largest;
    return largest;
}

/* Softmax of rows of inner products q k, in place: the weights of the keys, zero in the padding. */
static void soften(float *scores, int64_t rows, Sizes sizes) {
    int64_t row = registers(sizes.keys);
    for (float *line = scores; line < scores + rows * row; line += row) {
        for (int64_t c = sizes.keys; c < row; c++) line[c] = -FLT_MAX;
        Lanes most = load(line, LANES), sum = {0};
        for (int64_t c = LANES; c < row; c += LANES) {
            Lanes values = load(line + c, LANES);
            most = choose(values > most, values, most);
        }
        float largest = largest_of(most);
        for (int64_t c = 0; c < row; c += LANES) {
            Lanes share = exponential((load(line + c, LANES) - largest) * sizes.scale);
            store(line + c, share, LANES);
            sum += share;
        }
        float scale = 1 / sum_of(sum);
        for (int64_t c = 0; c < row; c += LANES) store(line + c, load(line + c, LANES) * scale, LANES);
    }
}

/* The gradients of the inner products, in place of those of the `shares`. */
static void soften_back(const float *shares, float *changes, int64_t rows, Sizes sizes) {
    int64_t row = registers(sizes.keys);
    for (int64_t at = 0; at < rows * row; at += row) {
        Lanes sum = {0};
        for (int64_t c = at; c < at + row; c += LANES) sum += load(shares + c, LANES) * load(changes + c, LANES);
        float mean = sum_of(sum);
        for (int64_t c = at; c < at + row; c += LANES)
            store(changes + c, load(shares + c, LANES) * (load(changes + c, LANES) - mean) * sizes.scale, LANES);
    }
}

/* `out` is a map (batch, queries, values) for each head. `workspace` holds channels + BLOCK rows of keys, padded to registers,
 * for each thread. */
void framecast_attend(const float *q, const float *k, const float *v, Sizes sizes, float *const *out, float *workspace,
                      int threads) {
    int64_t row = registers(sizes.keys), stride = sizes.heads * sizes.channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < sizes.batch * sizes.heads; task++) {
        const float *queries = q + place(sizes, task, sizes.queries, sizes.channels);
        const float *values = v + place(sizes, task, sizes.keys, sizes.values);
        float *attended = out[task % sizes.heads] + task / sizes.heads * sizes.queries * sizes.values;
        float *keys = workspace + thread_number() * (sizes.channels + BLOCK) * row, *shares = keys + sizes.channels * row;
        transpose(k + place(sizes, task, sizes.keys, sizes.channels), stride, sizes.keys, sizes.channels, keys);
        for (int64_t first = 0; first < sizes.queries; first += BLOCK) {
            int64_t rows = min(BLOCK, sizes.queries - first);
            product(queries + first * stride, stride, 1, keys, row, sizes.channels, shares, row, rows, row, 0, NOTHING);
            soften(shares, rows, sizes);
            product(shares, row, 1, values, sizes.heads * sizes.values, sizes.keys, attended + first * sizes.values,
                    sizes.values, rows, sizes.values, 0, NOTHING);
        }
    }
}

/* The gradients of q, k and v. `workspace` holds channels + values + 2 BLOCK such rows for each thread. */
void framecast_attend_back(const float *q, const float *k, const float *v, Sizes sizes, const float *const *dout, float *dq,
                           float *dk, float *dv, float *workspace, int threads) {
    int64_t row = registers(sizes.keys), stride = sizes.heads * sizes.channels, value_stride = sizes.heads * sizes.values;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < sizes.batch * sizes.heads; task++) {
        int64_t of_q = place(sizes, task, sizes.queries, sizes.channels);
        int64_t of_k = place(sizes, task, sizes.keys, sizes.channels), of_v = place(sizes, task, sizes.keys, sizes.values);
        const float *dattended = dout[task % sizes.heads] + task / sizes.heads * sizes.queries * sizes.values;
        float *keys = workspace + thread_number() * (sizes.channels + sizes.values + 2 * BLOCK) * row;
        float *values = keys + sizes.channels * row, *shares = values + sizes.values * row, *changes = shares + BLOCK * row;
        transpose(k + of_k, stride, sizes.keys, sizes.channels, keys);
        transpose(v + of_v, value_stride, sizes.keys, sizes.values, values);
        for (int64_t first = 0; first < sizes.queries; first += BLOCK) {
            int64_t rows = min(BLOCK, sizes.queries - first);
            const float *queries = q + of_q + first * stride, *after = dattended + first * sizes.values;
            product(queries, stride, 1, keys, row, sizes.channels, shares, row, rows, row, 0, NOTHING);
            soften(shares, rows, sizes);
            product(shares, 1, row, after, sizes.values, rows, dv + of_v, value_stride, sizes.keys, sizes.values, first > 0,
                    NOTHING);
            product(after, sizes.values, 1, values, row, sizes.values, changes, row, rows, row, 0, NOTHING);
            soften_back(shares, changes, rows, sizes);
            product(changes, row, 1, k + of_k, stride, sizes.keys, dq + of_q + first * stride, stride, rows, sizes.channels, 0,
                    NOTHING);
            product(changes, 1, row, queries, stride, rows, dk + of_k, stride, sizes.keys, sizes.channels, first > 0, NOTHING);
        }
    }
}

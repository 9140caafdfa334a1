/* The inner loops of gates.py, which has the equations, over `count` floats of arrays of one layout. */
#include "exponential.h"

#define SHARE 4096 /* floats of a task: fewer are not worth a thread */

INLINE Lanes sigmoid(Lanes x) { return 1.f / (1.f + exponential(-x)); }
INLINE Lanes hyperbolic(Lanes x) { return 2.f / (1.f + exponential(-2.f * x)) - 1.f; }

/* Load and store at position `at` with `lanes` floats left; null arrays read as zero and are not written. */
INLINE Lanes get(const float *from, int64_t at, int64_t lanes) { return from ? load(from + at, lanes) : (Lanes){0}; }
INLINE void put(float *to, int64_t at, Lanes values, int64_t lanes) {
    if (to) store(to + at, values, lanes);
}

typedef struct {
    const float *i, *f, *g, *c;
    float bias;
} Gates;

static void cell_update(Gates in, float *cell, float *increment, int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes added = sigmoid(get(in.i, at, lanes)) * hyperbolic(get(in.g, at, lanes));
        put(increment, at, added, lanes);
        put(cell, at, sigmoid(get(in.f, at, lanes) + in.bias) * get(in.c, at, lanes) + added, lanes);
    }
}

static void cell_update_back(Gates in, const float *dcell, const float *dincrement, float *di, float *df, float *dg, float *dc,
                          int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes i = sigmoid(get(in.i, at, lanes)), f = sigmoid(get(in.f, at, lanes) + in.bias);
        Lanes g = hyperbolic(get(in.g, at, lanes)), after = get(dcell, at, lanes);
        Lanes added = after + get(dincrement, at, lanes);
        put(di, at, added * g * i * (1.f - i), lanes);
        put(df, at, after * get(in.c, at, lanes) * f * (1.f - f), lanes);
        put(dg, at, added * i * (1.f - g * g), lanes);
        put(dc, at, after * f, lanes);
    }
}

static void hidden_output(const float *o, const float *more, const float *x, float *hidden, float *gate, int64_t from,
                          int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes open = sigmoid(get(o, at, lanes) + get(more, at, lanes));
        put(gate, at, open, lanes);
        put(hidden, at, open * hyperbolic(get(x, at, lanes)), lanes);
    }
}

static void hidden_output_back(const float *o, const float *more, const float *x, const float *dhidden, const float *dgate,
                        float *d_o, float *dx, int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes open = sigmoid(get(o, at, lanes) + get(more, at, lanes));
        Lanes tanh_x = hyperbolic(get(x, at, lanes)), after = get(dhidden, at, lanes);
        put(d_o, at, (after * tanh_x + get(dgate, at, lanes)) * open * (1.f - open), lanes);
        put(dx, at, after * open * (1.f - tanh_x * tanh_x), lanes);
    }
}

/* Runs the statement for tasks of SHARE floats in parallel, with at most one thread for each task. */
#define SHARED(count, threads, ...)                                                                                          \
    do {                                                                                                                     \
        int64_t shares = (count + SHARE - 1) / SHARE, workers = min(shares, threads);                                      \
        _Pragma("omp parallel for num_threads(workers) schedule(static)") for (int64_t n = 0; n < shares; n++) {             \
            int64_t from = n * SHARE, to = min(count, from + SHARE);                                                       \
            __VA_ARGS__;                                                                                                     \
        }                                                                                                                    \
    } while (0)

void framecast_cell_update(const float *i, const float *f, const float *g, const float *c, float bias, float *cell,
                        float *increment, int64_t count, int threads) {
    SHARED(count, threads, cell_update((Gates){i, f, g, c, bias}, cell, increment, from, to));
}

void framecast_cell_update_back(const float *i, const float *f, const float *g, const float *c, float bias, const float *dcell,
                             const float *dincrement, float *di, float *df, float *dg, float *dc, int64_t count,
                             int threads) {
    SHARED(count, threads, cell_update_back((Gates){i, f, g, c, bias}, dcell, dincrement, di, df, dg, dc, from, to));
}

void framecast_hidden_output(const float *o, const float *more, const float *x, float *hidden, float *gate, int64_t count,
                      int threads) {
    SHARED(count, threads, hidden_output(o, more, x, hidden, gate, from, to));
}

void framecast_hidden_output_back(const float *o, const float *more, const float *x, const float *dhidden, const float *dgate,
                           float *d_o, float *dx, int64_t count, int threads) {
    SHARED(count, threads, hidden_output_back(o, more, x, dhidden, dgate, d_o, dx, from, to));
}

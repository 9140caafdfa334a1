/* The inner loops of gates.py, where the equations stand, over `count` floats of arrays that have one layout. */
#include "lanes.h"

#define SHARE 4096 /* floats that are worth the start of a thread */

INLINE Lanes all(float value) { return (Lanes){0} + value; }

INLINE Lanes choose(Whole where, Lanes a, Lanes b) { return (Lanes)((where & (Whole)a) | (~where & (Whole)b)); }

/* 2^n e^r with r between -ln(2) / 2 and ln(2) / 2, of which e^r is a polynomial (Cephes, Moshier 1992): to 2e-7. */
INLINE Lanes exponential(Lanes x) {
    const float shift = 12582912.f; /* 1.5 x 2^23: what is added to it is rounded to a whole number */
    x = choose(x < -87.f, all(-87.f), choose(x > 88.f, all(88.f), x));
    Lanes shifted = x * 1.44269504f + shift, n = shifted - shift;
    Lanes r = x - n * 0.693359375f + n * 2.12194440e-4f;
    Lanes p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    Whole power = ((Whole)shifted - 0x4B400000 + 127) << 23;
    return (p * r * r + r + 1.f) * (Lanes)power;
}

INLINE Lanes sigmoid(Lanes x) { return 1.f / (1.f + exponential(-x)); }
INLINE Lanes hyperbolic(Lanes x) { return 2.f / (1.f + exponential(-2.f * x)) - 1.f; }

/* Arrays at a place of which `lanes` floats are left; nothing is read from or written to those that are null. */
INLINE Lanes get(const float *from, int64_t at, int64_t lanes) { return from ? load(from + at, lanes) : (Lanes){0}; }
INLINE void put(float *to, int64_t at, Lanes values, int64_t lanes) {
    if (to) store(to + at, values, lanes);
}

typedef struct {
    const float *i, *f, *g, *c;
    float bias;
} Gates;

static void remember(Gates in, float *cell, float *increment, int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes added = sigmoid(get(in.i, at, lanes)) * hyperbolic(get(in.g, at, lanes));
        put(increment, at, added, lanes);
        put(cell, at, sigmoid(get(in.f, at, lanes) + in.bias) * get(in.c, at, lanes) + added, lanes);
    }
}

static void remember_back(Gates in, const float *dcell, const float *dincrement, float *di, float *df, float *dg, float *dc,
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

static void expose(const float *o, const float *more, const float *x, float *hidden, float *gate, int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes open = sigmoid(get(o, at, lanes) + get(more, at, lanes));
        put(gate, at, open, lanes);
        put(hidden, at, open * hyperbolic(get(x, at, lanes)), lanes);
    }
}

static void expose_back(const float *o, const float *more, const float *x, const float *dhidden, const float *dgate,
                        float *d_o, float *dx, int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        int64_t lanes = to - at;
        Lanes open = sigmoid(get(o, at, lanes) + get(more, at, lanes));
        Lanes shown = hyperbolic(get(x, at, lanes)), after = get(dhidden, at, lanes);
        put(d_o, at, (after * shown + get(dgate, at, lanes)) * open * (1.f - open), lanes);
        put(dx, at, after * open * (1.f - shown * shown), lanes);
    }
}

/* Does the work for shares of `count` floats, in as many threads as are worth it. */
#define SHARED(count, threads, ...)                                                                                          \
    do {                                                                                                                     \
        int64_t shares = (count + SHARE - 1) / SHARE, several = least(shares, threads);                                      \
        _Pragma("omp parallel for num_threads(several) schedule(static)") for (int64_t n = 0; n < shares; n++) {             \
            int64_t from = n * SHARE, to = least(count, from + SHARE);                                                       \
            __VA_ARGS__;                                                                                                     \
        }                                                                                                                    \
    } while (0)

void framecast_remember(const float *i, const float *f, const float *g, const float *c, float bias, float *cell,
                        float *increment, int64_t count, int threads) {
    SHARED(count, threads, remember((Gates){i, f, g, c, bias}, cell, increment, from, to));
}

void framecast_remember_back(const float *i, const float *f, const float *g, const float *c, float bias, const float *dcell,
                             const float *dincrement, float *di, float *df, float *dg, float *dc, int64_t count,
                             int threads) {
    SHARED(count, threads, remember_back((Gates){i, f, g, c, bias}, dcell, dincrement, di, df, dg, dc, from, to));
}

void framecast_expose(const float *o, const float *more, const float *x, float *hidden, float *gate, int64_t count,
                      int threads) {
    SHARED(count, threads, expose(o, more, x, hidden, gate, from, to));
}

void framecast_expose_back(const float *o, const float *more, const float *x, const float *dhidden, const float *dgate,
                           float *d_o, float *dx, int64_t count, int threads) {
    SHARED(count, threads, expose_back(o, more, x, dhidden, dgate, d_o, dx, from, to));
}

/* The inner loops of winograd.py, where the equations stand, for tiles of TILE x TILE pixels: winograd_6.c, winograd_8.c
 * and winograd_10.c are this file with each of the three sizes. All arrays are float32.
 *
 *   x, maps    (batch, height, width, channels)
 *   V, dV      (PLACES, tiles, channels), U (PLACES, channels, outputs), dM (PLACES, tiles, outputs): `apart` is how far
 * apart the places lie
 *
 * The results of a tile are step x step with step = TILE + 1 - kernel. Tiles are numbered along the rows of a map, and from
 * map to map. */
#include "matrix.h"
#include "threads.h"

#define PLACES (TILE * TILE)
#define PAIRS (TILE / 2 - 1)
#define BLOCK 24       /* tiles whose products lie in the cache when they are gathered */
#define PIECE 144      /* tiles whose gradients are summed at once */
#define CHUNK 64       /* outputs, likewise */
#define WIDE_CHUNK 256 /* outputs of a single block */

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

#define JOINED(name, tile) framecast_##name##_##tile
#define EXPANDED(name, tile) JOINED(name, tile)
#define EXPORTED(name) EXPANDED(name, TILE)

typedef Lanes Tile[TILE][TILE];

/* A tile whose places lie `apart`. */
INLINE void load_tile(const float *from, int64_t apart, int64_t lanes, Tile tile) {
    for (int p = 0; p < PLACES; p++) tile[p / TILE][p % TILE] = load(from + p * apart, lanes);
}

INLINE void store_tile(float *to, int64_t apart, int64_t lanes, Tile tile) {
    for (int p = 0; p < PLACES; p++) store(to + p * apart, tile[p / TILE][p % TILE], lanes);
}

typedef struct {
    int64_t batch, height, width, step;
} Cut;

INLINE int64_t rows_of(Cut cut) { return (cut.height + cut.step - 1) / cut.step; }
INLINE int64_t columns_of(Cut cut) { return (cut.width + cut.step - 1) / cut.step; }

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

static void kernel_tile(const float *taps, int64_t lane, int64_t size, const float *matrix, float *u, int64_t apart,
                        int64_t lanes) {
    Tile one, other;
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < size; j++) {
            Lanes values = {0};
            for (int64_t n = 0; n < lanes; n++) values[n] = taps[n * lane + i * size + j];
            one[i][j] = values;
        }
    apply(matrix, size, 1, TILE, size, size, one, other);
    apply(matrix, size, 1, TILE, size, TILE, other, one);
    store_tile(u, apart, lanes, one);
}

/* U (PLACES, rows, columns) = G g G^T of taps g (size, size), `row` and `column` floats apart; `matrix` is G (TILE, size). */
void EXPORTED(kernels)(const float *taps, int64_t row, int64_t column, int64_t size, const float *matrix, float *u,
                       int64_t rows, int64_t columns, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c += LANES)
            kernel_tile(taps + r * row + c * column, column, size, matrix, u + r * columns + c, rows * columns,
                        least(LANES, columns - c));
}

static void taps_tile(const float *u, int64_t apart, const float *matrix, int64_t size, float *taps, int64_t lane,
                      int64_t lanes) {
    Tile one, other;
    load_tile(u, apart, lanes, one);
    apply(matrix, 1, size, size, TILE, TILE, one, other);
    apply(matrix, 1, size, size, TILE, size, other, one);
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < size; j++)
            for (int64_t n = 0; n < lanes; n++) taps[n * lane + i * size + j] = one[i][j][n];
}

/* The transpose of `kernels`: writes the gradient of the taps. */
void EXPORTED(taps)(const float *u, int64_t rows, int64_t columns, const float *matrix, int64_t size, float *taps,
                    int64_t row, int64_t column, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c += LANES)
            taps_tile(u + r * columns + c, rows * columns, matrix, size, taps + r * row + c * column, column,
                      least(LANES, columns - c));
}

static void cut_tile(const float *x, Cut cut, int64_t channels, int64_t top, int64_t left, float *tile, int64_t apart) {
    Tile one, other;
    for (int64_t start = 0; start < channels; start += LANES) {
        int64_t lanes = channels - start;
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < TILE; j++) {
                int64_t row = top + i, column = left + j;
                int inside = row >= 0 && row < cut.height && column >= 0 && column < cut.width;
                one[i][j] = inside ? load(x + (row * cut.width + column) * channels + start, lanes) : (Lanes){0};
            }
        back(one, other);
        back(other, one);
        store_tile(tile + start, apart, lanes, one);
    }
}

/* V = B^T d B for each tile d of x. */
void EXPORTED(cut)(const float *x, Cut cut, int64_t channels, float *tiles, int64_t apart, int threads) {
    int64_t rows = rows_of(cut), columns = columns_of(cut), beside = (TILE - cut.step) / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t n = 0; n < cut.batch * rows * columns; n++) {
        int64_t top = n / columns % rows * cut.step - beside, left = n % columns * cut.step - beside;
        const float *map = x + n / (rows * columns) * cut.height * cut.width * channels;
        cut_tile(map, cut, channels, top, left, tiles + n * channels, apart);
    }
}

static void add_tile(const float *tile, int64_t apart, Cut cut, int64_t channels, int64_t top, int64_t left, float *x,
                     int64_t lanes) {
    Tile one, other;
    load_tile(tile, apart, lanes, one);
    forth(one, other);
    forth(other, one);
    for (int64_t i = 0; i < TILE; i++)
        for (int64_t j = 0; j < TILE; j++) {
            int64_t row = top + i, column = left + j;
            if (row < 0 || row >= cut.height || column < 0 || column >= cut.width) continue;
            float *pixel = x + (row * cut.width + column) * channels;
            store(pixel, load(pixel, lanes) + one[i][j], lanes);
        }
}

/* The transpose of `cut`: adds to x. Tiles overlap, so what is done at once are maps and channels. */
void EXPORTED(add)(const float *tiles, int64_t apart, Cut cut, int64_t channels, float *x, int threads) {
    int64_t rows = rows_of(cut), columns = columns_of(cut), beside = (TILE - cut.step) / 2;
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t map = 0; map < cut.batch; map++)
        for (int64_t start = 0; start < channels; start += LANES)
            for (int64_t n = 0; n < rows * columns; n++) {
                int64_t top = n / columns * cut.step - beside, left = n % columns * cut.step - beside;
                const float *tile = tiles + (map * rows * columns + n) * channels + start;
                add_tile(tile, apart, cut, channels, top, left, x + map * cut.height * cut.width * channels + start,
                         channels - start);
            }
}

/* One term of a sum of convolutions: a map of some `channels` of the `inputs` of a weight, which u, turned and du begin at,
 * and from which of its outputs on they are summed. dV and dU may be null: no gradient. */
typedef struct {
    const float *v, *u;
    int64_t channels, inputs, outputs, first, apart;
    const float *turned; /* (PLACES, outputs, inputs): U with its last two axes exchanged */
    float *dv, *du;
    int64_t fresh; /* whether dV holds nothing yet that is to be added to */
} Term;

/* A sum of so many `terms`, whose `outputs` are cut into `maps`. */
typedef struct {
    int64_t terms, outputs, maps;
} Run;

/* How many pixels the results of a tile are, and where the first of them lies in maps of `channels`. */
typedef struct {
    int64_t below, right, pixel;
} Results;

INLINE Results results_of(Cut cut, int64_t n, int64_t channels) {
    int64_t columns = columns_of(cut), rows = rows_of(cut);
    int64_t top = n / columns % rows * cut.step, left = n % columns * cut.step;
    return (Results){
        .below = least(cut.step, cut.height - top),
        .right = least(cut.step, cut.width - left),
        .pixel = ((n / (rows * columns) * cut.height + top) * cut.width + left) * channels,
    };
}

/* Where an output goes: it lies in one of several maps of `channels` each. */
INLINE float *place(float *const *maps, int64_t channels, int64_t output) {
    return maps[output / channels] + output % channels;
}

static void gather_tile(const float *products, int64_t apart, int64_t begin, int64_t outputs, Cut cut, int64_t n,
                        float *const *maps, int64_t channels) {
    Results to = results_of(cut, n, channels);
    Tile one, other;
    for (int64_t start = 0, lanes; start < outputs; start += lanes) {
        float *map = place(maps, channels, begin + start) + to.pixel;
        lanes = least(LANES, least(outputs - start, channels - (begin + start) % channels));
        load_tile(products + start, apart, lanes, one);
        gather(one, other, cut.step, TILE);
        gather(other, one, cut.step, cut.step);
        for (int64_t i = 0; i < to.below; i++)
            for (int64_t j = 0; j < to.right; j++) store(map + (i * cut.width + j) * channels, one[i][j], lanes);
    }
}

/* The products of the tiles from `first` on at one place, summed over the terms. */
INLINE void products_at(int64_t p, const Term *terms, int64_t count, int64_t first, int64_t many, int64_t begin,
                        int64_t width, float *products) {
    for (int64_t t = 0; t < count; t++) {
        Term term = terms[t];
        const float *v = term.v + p * term.apart + first * term.channels, *next = v + term.apart;
        const float *u = term.u + p * term.inputs * term.outputs + term.first + begin;
        for (int64_t n = 0; n < many * term.channels; n += LANES) __builtin_prefetch(next + n, 0, 2);
        product(v, term.channels, 1, u, term.outputs, term.channels, products, width, many, width, t > 0,
                term.inputs * term.outputs);
    }
}

/* The maps of one run. Threads share out blocks of tiles and of outputs, for each of which the products stay in the cache
 * until they are gathered; where those are too few, the places. */
static void sum_run(const Term *terms, Run run, Cut cut, float *const *maps, float *room, int threads) {
    int64_t count = run.terms, outputs = run.outputs, channels = outputs / run.maps;
    int64_t tiles = cut.batch * rows_of(cut) * columns_of(cut);
    int64_t blocks = (tiles + BLOCK - 1) / BLOCK, chunks = (outputs + CHUNK - 1) / CHUNK;
    int64_t apart = BLOCK * CHUNK + LANES; /* not a power of two, which would put all places into one line of the cache */
    if (blocks == 1) {
        apart = BLOCK * WIDE_CHUNK + LANES;
        for (int64_t begin = 0; begin < outputs; begin += WIDE_CHUNK) {
            int64_t width = least(WIDE_CHUNK, outputs - begin);
#pragma omp parallel num_threads(threads)
            {
#pragma omp for schedule(static)
                for (int64_t p = 0; p < PLACES; p++) products_at(p, terms, count, 0, tiles, begin, width, room + p * apart);
#pragma omp for schedule(static)
                for (int64_t n = 0; n < tiles; n++)
                    gather_tile(room + n * width, apart, begin, width, cut, n, maps, channels);
            }
        }
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        float *products = room + thread_number() * apart * PLACES;
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < chunks * blocks; task++) {
            int64_t begin = task / blocks * CHUNK, width = least(CHUNK, outputs - begin);
            int64_t first = task % blocks * BLOCK, many = least(BLOCK, tiles - first);
            for (int64_t p = 0; p < PLACES; p++)
                products_at(p, terms, count, first, many, begin, width, products + p * apart);
            for (int64_t n = 0; n < many; n++)
                gather_tile(products + n * width, apart, begin, width, cut, first + n, maps, channels);
        }
    }
}

/* maps = A^T [ sum over terms of V U ] A of all runs, one after the other. `room` holds as many floats as `room` says. */
void EXPORTED(sum)(const Term *terms, const Run *runs, int64_t count, Cut cut, float *const *maps, float *room, int threads) {
    for (int64_t n = 0; n < count; n++) {
        sum_run(terms, runs[n], cut, maps, room, threads);
        terms += runs[n].terms;
        maps += runs[n].maps;
    }
}

/* dM of a tile at the places from `first` to `last`. */
static void spread_tile(float *products, int64_t apart, int64_t begin, int64_t outputs, Cut cut, int64_t n,
                        float *const *maps, int64_t channels, int64_t first, int64_t last) {
    Results to = results_of(cut, n, channels);
    Tile one, other;
    for (int64_t start = 0, lanes; start < outputs; start += lanes) {
        const float *map = place(maps, channels, begin + start) + to.pixel;
        lanes = least(LANES, least(outputs - start, channels - (begin + start) % channels));
        for (int64_t i = 0; i < MOST; i++)
            for (int64_t j = 0; j < cut.step; j++) {
                int inside = i < to.below && j < to.right;
                one[i][j] = inside ? load(map + (i * cut.width + j) * channels, lanes) : (Lanes){0};
            }
        spread(one, other, cut.step, 0, cut.step);
        memset(other[cut.step], 0, (MOST - cut.step) * sizeof other[0]);
        spread(other, one, cut.step, first / TILE, (last + TILE - 1) / TILE);
        for (int64_t p = first; p < last; p++) store(products + p * apart + start, one[p / TILE][p % TILE], lanes);
    }
}

static void gradients_of_run(const Term *terms, Run run, Cut cut, float *const *maps, float *room, int64_t first_place,
                             int64_t last_place) {
    int64_t count = run.terms, outputs = run.outputs, channels = outputs / run.maps;
    int64_t tiles = cut.batch * rows_of(cut) * columns_of(cut), apart = PIECE * CHUNK + LANES;
    int64_t pieces = (tiles + PIECE - 1) / PIECE, piece = (tiles + pieces - 1) / pieces;
    for (int64_t first = 0; first < tiles; first += piece)
        for (int64_t begin = 0; begin < outputs; begin += CHUNK) {
            int64_t width = least(CHUNK, outputs - begin), many = least(piece, tiles - first);
            for (int64_t n = 0; n < many; n++)
                spread_tile(room + n * width, apart, begin, width, cut, first + n, maps, channels, first_place, last_place);
            for (int64_t p = first_place; p < last_place; p++)
                for (int64_t t = 0; t < count; t++) {
                    Term term = terms[t];
                    const float *dm = room + p * apart;
                    int64_t from = term.first + begin, at = p * term.apart + first * term.channels;
                    if (term.dv)
                        product(dm, width, 1, term.turned + (p * term.outputs + from) * term.inputs, term.inputs, width,
                                term.dv + at, term.channels, many, term.channels, begin > 0 || !term.fresh, 0);
                    if (term.du)
                        product(term.v + at, 1, term.channels, dm, width, many,
                                term.du + p * term.inputs * term.outputs + from, term.outputs, term.channels, width, 1, 0);
                }
        }
}

/* The transpose of `sum`: from the gradients of the maps dM = A dy A^T, and with them dV += dM U^T and dU += V^T dM. Each
 * thread has some of the places from beginning to end: no other reads what it writes, so it stays in its caches. `room`
 * holds as many floats as `room` says. */
void EXPORTED(gradients)(const Term *terms, const Run *runs, int64_t count, Cut cut, float *const *maps, float *room,
                         int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t share = 0; share < threads; share++) {
        const Term *of = terms;
        float *const *from = maps;
        for (int64_t n = 0; n < count; of += runs[n].terms, from += runs[n].maps, n++)
            gradients_of_run(of, runs[n], cut, from, room, PLACES * share / threads, PLACES * (share + 1) / threads);
    }
}

/* Floats that `sum` and `gradients` need for what they make on the way. */
int64_t EXPORTED(room)(int threads) {
    int64_t blocks = threads * (BLOCK * CHUNK + LANES), single = BLOCK * WIDE_CHUNK + LANES, piece = PIECE * CHUNK + LANES;
    int64_t most = blocks > single ? blocks : single;
    return PLACES * (most > piece ? most : piece);
}

/* The inner loops of winograd.py, where the equations stand. All arrays are float32.
 *
 *   x, maps    (batch, height, width, channels)
 *   V, dV      (64, tiles, channels), U (64, channels, outputs), dM (64, tiles, outputs): `apart` is how far apart the 64 lie
 *
 * A tile is 8 x 8 pixels, its results are step x step with step = 9 - kernel. Tiles are numbered along the rows of a map, and
 * from map to map. */
#ifdef _OPENMP
#include <omp.h>
#endif

#include "lanes.h"

#define TILE 8
#define PLACES (TILE * TILE)
#define BLOCK 24       /* tiles whose products lie in the cache when they are gathered */
#define PIECE 144      /* tiles whose gradients are summed at once */
#define CHUNK 64       /* outputs, likewise */
#define WIDE_CHUNK 256 /* outputs of a single block */

typedef Lanes Tile[TILE][TILE];

/* A tile whose 64 places lie `apart`. */
INLINE void load_tile(const float *from, int64_t apart, int64_t lanes, Tile tile) {
    for (int p = 0; p < PLACES; p++) tile[p / TILE][p % TILE] = load(from + p * apart, lanes);
}

INLINE void store_tile(float *to, int64_t apart, int64_t lanes, Tile tile) {
    for (int p = 0; p < PLACES; p++) store(to + p * apart, tile[p / TILE][p % TILE], lanes);
}

INLINE int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

typedef struct {
    int64_t batch, height, width, step;
} Cut;

INLINE int64_t rows_of(Cut cut) { return (cut.height + cut.step - 1) / cut.step; }
INLINE int64_t columns_of(Cut cut) { return (cut.width + cut.step - 1) / cut.step; }

/* B^T from the left, and transposed: twice makes B^T d B. */
INLINE void back(Tile in, Tile out) {
    for (int j = 0; j < TILE; j++) {
        Lanes d0 = in[0][j], d1 = in[1][j], d2 = in[2][j], d3 = in[3][j];
        Lanes d4 = in[4][j], d5 = in[5][j], d6 = in[6][j], d7 = in[7][j];
        Lanes even = 17 / 18.f * d4 - 2 / 9.f * (d2 + d6), odd = 17 / 18.f * d3 - 2 / 9.f * (d1 + d5);
        out[j][0] = 1 / 4.f * (d0 - d6) + 21 / 16.f * (d4 - d2);
        out[j][1] = even + odd;
        out[j][2] = even - odd;
        even = 4 / 45.f * d2 - 4 / 9.f * d4 + 16 / 45.f * d6, odd = 8 / 45.f * d1 - 8 / 9.f * d3 + 32 / 45.f * d5;
        out[j][3] = even + odd;
        out[j][4] = even - odd;
        even = 32 / 45.f * d2 - 8 / 9.f * d4 + 8 / 45.f * d6, odd = 16 / 45.f * d1 - 4 / 9.f * d3 + 4 / 45.f * d5;
        out[j][5] = even + odd;
        out[j][6] = even - odd;
        out[j][7] = 1 / 4.f * (d7 - d1) + 21 / 16.f * (d3 - d5);
    }
}

/* The transpose of `back`: twice makes B v B^T. */
INLINE void forth(Tile in, Tile out) {
    for (int j = 0; j < TILE; j++) {
        Lanes v0 = in[0][j], v7 = in[7][j];
        Lanes even1 = in[1][j] + in[2][j], even2 = in[3][j] + in[4][j], even3 = in[5][j] + in[6][j];
        Lanes odd1 = in[1][j] - in[2][j], odd2 = in[3][j] - in[4][j], odd3 = in[5][j] - in[6][j];
        out[j][0] = 1 / 4.f * v0;
        out[j][1] = -1 / 4.f * v7 - 2 / 9.f * odd1 + 8 / 45.f * odd2 + 16 / 45.f * odd3;
        out[j][2] = -21 / 16.f * v0 - 2 / 9.f * even1 + 4 / 45.f * even2 + 32 / 45.f * even3;
        out[j][3] = 21 / 16.f * v7 + 17 / 18.f * odd1 - 8 / 9.f * odd2 - 4 / 9.f * odd3;
        out[j][4] = 21 / 16.f * v0 + 17 / 18.f * even1 - 4 / 9.f * even2 - 8 / 9.f * even3;
        out[j][5] = -21 / 16.f * v7 - 2 / 9.f * odd1 + 32 / 45.f * odd2 + 4 / 45.f * odd3;
        out[j][6] = -1 / 4.f * v0 - 2 / 9.f * even1 + 16 / 45.f * even2 + 8 / 45.f * even3;
        out[j][7] = 1 / 4.f * v7;
    }
}

/* A^T from the left, and transposed: twice makes A^T m A. Rows from `step` on hold what is not asked for. */
INLINE void gather(Tile in, Tile out, int64_t step, int64_t columns) {
    for (int64_t j = 0; j < columns; j++) {
        Lanes one = in[1][j] + in[2][j], two = in[3][j] + in[4][j], half = in[5][j] + in[6][j];
        out[j][0] = in[0][j] + one + two + half;
        out[j][2] = one + 4.f * two + 1 / 4.f * half;
        out[j][4] = one + 16.f * two + 1 / 16.f * half;
        one = in[1][j] - in[2][j], two = in[3][j] - in[4][j], half = in[5][j] - in[6][j];
        out[j][1] = one + 2.f * two + 1 / 2.f * half;
        out[j][3] = one + 8.f * two + 1 / 8.f * half;
        out[j][5] = one + 32.f * two + 1 / 32.f * half;
        out[j][step - 1] += in[7][j];
    }
}

/* The transpose of `gather`: twice makes A y A^T. Rows 6 and 7 are not read, those from `step` to 5 must be zero. */
INLINE void spread(Tile in, Tile out, int64_t step, int64_t columns) {
    for (int64_t j = 0; j < columns; j++) {
        Lanes y0 = in[0][j], y1 = in[1][j], y2 = in[2][j], y3 = in[3][j], y4 = in[4][j], y5 = in[5][j];
        Lanes even = y0 + y2 + y4, odd = y1 + y3 + y5;
        out[j][0] = y0;
        out[j][1] = even + odd;
        out[j][2] = even - odd;
        even = y0 + 4.f * y2 + 16.f * y4, odd = 2.f * y1 + 8.f * y3 + 32.f * y5;
        out[j][3] = even + odd;
        out[j][4] = even - odd;
        even = y0 + 1 / 4.f * y2 + 1 / 16.f * y4, odd = 1 / 2.f * y1 + 1 / 8.f * y3 + 1 / 32.f * y5;
        out[j][5] = even + odd;
        out[j][6] = even - odd;
        out[j][7] = in[step - 1][j];
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

/* U (64, rows, columns) = G g G^T of taps g (size, size), `row` and `column` floats apart; `matrix` is G (8, size). */
void framecast_kernels(const float *taps, int64_t row, int64_t column, int64_t size, const float *matrix, float *u,
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

/* The transpose of `framecast_kernels`: writes the gradient of the taps. */
void framecast_taps(const float *u, int64_t rows, int64_t columns, const float *matrix, int64_t size, float *taps,
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
void framecast_cut(const float *x, Cut cut, int64_t channels, float *tiles, int64_t apart, int threads) {
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

/* The transpose of `framecast_cut`: adds to x. Tiles overlap, so what is done at once are maps and channels. */
void framecast_add(const float *tiles, int64_t apart, Cut cut, int64_t channels, float *x, int threads) {
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

/* out (rows, lanes) = a (rows, depth) b (depth, lanes), or added to it, for a fixed number of rows and registers a row, so
 * that all of it stays in registers: 6 x 4 of the 32 that AVX-512 has, 6 x 2 of the 16 of others. */
#define WIDE (LANES == 16 ? 4 : 2)
#define PRODUCT(NAME, ROWS, MANY)                                                                                            \
    INLINE void NAME(const float *a, int64_t a_row, int64_t a_deep, const float *b, int64_t b_deep, int64_t depth,           \
                     float *out, int64_t out_row, int add, int64_t lanes, int64_t ahead) {                                   \
        Lanes sum[ROWS][MANY];                                                                                               \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) _Pragma("GCC unroll 8") for (int w = 0; w < MANY; w++)        \
            sum[r][w] = add ? load(out + r * out_row + w * LANES, lanes) : (Lanes){0};                                       \
        for (int64_t k = 0; k < depth; k++) {                                                                                \
            Lanes right[MANY];                                                                                               \
            _Pragma("GCC unroll 8") for (int w = 0; w < MANY; w++) right[w] = load(b + k * b_deep + w * LANES, lanes);       \
            if (ahead)                                                                                                       \
                _Pragma("GCC unroll 8") for (int w = 0; w < MANY; w++)                                                       \
                    __builtin_prefetch(b + ahead + k * b_deep + w * LANES, 0, 2);                                            \
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {                                                         \
                float left = a[r * a_row + k * a_deep];                                                                      \
                _Pragma("GCC unroll 8") for (int w = 0; w < MANY; w++) sum[r][w] += left * right[w];                         \
            }                                                                                                                \
        }                                                                                                                    \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) _Pragma("GCC unroll 8") for (int w = 0; w < MANY; w++)        \
            store(out + r * out_row + w * LANES, sum[r][w], lanes);                                                          \
    }

PRODUCT(six_wide, 6, WIDE)
PRODUCT(two_wide, 2, WIDE)
PRODUCT(one_wide, 1, WIDE)
PRODUCT(six, 6, 1)
PRODUCT(two, 2, 1)
PRODUCT(one, 1, 1)

/* out (rows, width) = a (rows, depth) b (depth, width), or added to it; what lies `ahead` of b is fetched for the next time.
 */
static void product(const float *a, int64_t a_row, int64_t a_deep, const float *b, int64_t b_deep, int64_t depth, float *out,
                    int64_t out_row, int64_t rows, int64_t width, int add, int64_t ahead) {
    for (int64_t w = 0, lanes; w < width; w += lanes) {
        int wide = width - w >= WIDE * LANES;
        lanes = wide ? WIDE * LANES : least(LANES, width - w);
#define REST a_row, a_deep, b + w, b_deep, depth, out + r *out_row + w, out_row, add
        for (int64_t r = 0, done; r < rows; r += done) {
            done = rows - r >= 6 ? 6 : rows - r >= 2 ? 2 : 1;
            const float *left = a + r * a_row;
            if (wide && done == 6)
                six_wide(left, REST, LANES, r == 0 ? ahead : 0);
            else if (wide && done == 2)
                two_wide(left, REST, LANES, 0);
            else if (wide)
                one_wide(left, REST, LANES, 0);
            else if (done == 6 && lanes == LANES)
                six(left, REST, LANES, 0);
            else if (done == 6)
                six(left, REST, lanes, 0);
            else if (done == 2)
                two(left, REST, lanes, 0);
            else
                one(left, REST, lanes, 0);
        }
#undef REST
    }
}

/* One term of a sum of convolutions: from which of its outputs on they are summed. dV and dU may be null: no gradient. */
typedef struct {
    const float *v, *u, *turned; /* turned (64, outputs, channels) is U with its last two axes exchanged */
    float *dv, *du;
    int64_t channels, outputs, first, apart;
    int64_t fresh; /* whether dV holds nothing yet that is to be added to */
} Term;

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
        const float *u = term.u + p * term.channels * term.outputs + term.first + begin;
        for (int64_t n = 0; n < many * term.channels; n += LANES) __builtin_prefetch(next + n, 0, 2);
        product(v, term.channels, 1, u, term.outputs, term.channels, products, width, many, width, t > 0,
                term.channels * term.outputs);
    }
}

/* maps = A^T [ sum over terms of V U ] A. `room` holds framecast_room(threads) floats. Threads share out blocks of tiles and
 * of outputs, for each of which the products stay in the cache until they are gathered; where those are too few, the places.
 */
void framecast_sum(const Term *terms, int64_t count, Cut cut, int64_t outputs, float *const *maps, int64_t channels,
                   float *room, int threads) {
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

static void spread_tile(float *products, int64_t apart, int64_t begin, int64_t outputs, Cut cut, int64_t n,
                        float *const *maps, int64_t channels) {
    Results to = results_of(cut, n, channels);
    Tile one, other;
    for (int64_t start = 0, lanes; start < outputs; start += lanes) {
        const float *map = place(maps, channels, begin + start) + to.pixel;
        lanes = least(LANES, least(outputs - start, channels - (begin + start) % channels));
        memset(one, 0, sizeof one);
        memset(other, 0, sizeof other);
        for (int64_t i = 0; i < to.below; i++)
            for (int64_t j = 0; j < to.right; j++) one[i][j] = load(map + (i * cut.width + j) * channels, lanes);
        spread(one, other, cut.step, cut.step);
        spread(other, one, cut.step, TILE);
        store_tile(products + start, apart, lanes, one);
    }
}

/* The transpose of `framecast_sum`: from the gradients of the maps dM = A dy A^T, and with them dV += dM U^T and
 * dU += V^T dM. `room` holds framecast_room(threads) floats. */
void framecast_gradients(const Term *terms, int64_t count, Cut cut, int64_t outputs, float *const *maps, int64_t channels,
                         float *room, int threads) {
    int64_t tiles = cut.batch * rows_of(cut) * columns_of(cut), apart = PIECE * CHUNK + LANES;
    int64_t pieces = (tiles + PIECE - 1) / PIECE, piece = (tiles + pieces - 1) / pieces;
    for (int64_t first = 0; first < tiles; first += piece)
        for (int64_t begin = 0; begin < outputs; begin += CHUNK) {
            int64_t width = least(CHUNK, outputs - begin), many = least(piece, tiles - first);
#pragma omp parallel num_threads(threads)
            {
#pragma omp for schedule(static)
                for (int64_t n = 0; n < many; n++)
                    spread_tile(room + n * width, apart, begin, width, cut, first + n, maps, channels);
#pragma omp for schedule(static)
                for (int64_t p = 0; p < PLACES; p++)
                    for (int64_t t = 0; t < count; t++) {
                        Term term = terms[t];
                        const float *dm = room + p * apart;
                        int64_t from = term.first + begin, at = p * term.apart + first * term.channels;
                        if (term.dv)
                            product(dm, width, 1, term.turned + (p * term.outputs + from) * term.channels, term.channels,
                                    width, term.dv + at, term.channels, many, term.channels, begin > 0 || !term.fresh, 0);
                        if (term.du)
                            product(term.v + at, 1, term.channels, dm, width, many,
                                    term.du + p * term.channels * term.outputs + from, term.outputs, term.channels, width, 1,
                                    0);
                    }
            }
        }
}

/* Floats that `framecast_sum` and `framecast_gradients` need for what they make on the way. */
int64_t framecast_room(int threads) {
    int64_t blocks = threads * (BLOCK * CHUNK + LANES), single = BLOCK * WIDE_CHUNK + LANES, piece = PIECE * CHUNK + LANES;
    int64_t most = blocks > single ? blocks : single;
    return PLACES * (most > piece ? most : piece);
}

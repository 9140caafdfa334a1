/* The inner loops of winograd.py, which has the equations, for tiles of TILE x TILE pixels: winograd_6.c, winograd_8.c and
 * winograd_10.c include this file, one for each size. All arrays are float32.
 *
 *   x, maps    (batch, height, width, channels)
 *   V, dV      (PLACES, tiles, channels), dM (PLACES, tiles, outputs): `stride` is that between places
 *   U, dU      panels of PANEL outputs (the last may have fewer), each (PLACES, inputs, outputs of the panel): operands
 * of one product are adjacent, the fastest layout for caches of any size
 *
 * The results of a tile are step x step with step = TILE + 1 - kernel. Tiles are numbered along the rows of a map, and from
 * map to map. */
#include "matrix.h"
#include "non_temporal.h"
#include "threads.h"
#include "transforms.h"

#define BLOCK 32       /* tiles whose products stay in the cache until their transform */
#define PIECE 144      /* tiles whose gradients are summed together */
#define CHUNK 64       /* outputs, likewise */
#define WIDE_CHUNK 256 /* outputs of a single block */
#define PANEL 64       /* outputs whose weights are adjacent; as in winograd.py */

#define JOINED(name, tile) framecast_##name##_##tile
#define EXPANDED(name, tile) JOINED(name, tile)
#define EXPORTED(name) EXPANDED(name, TILE)

typedef struct {
    int64_t batch, height, width, step;
} Tiling;

INLINE int64_t rows_of(Tiling tiling) { return (tiling.height + tiling.step - 1) / tiling.step; }
INLINE int64_t columns_of(Tiling tiling) { return (tiling.width + tiling.step - 1) / tiling.step; }

/* The weights of `input` for the outputs from `output` on in U at a place: their offset, the length of a row of the panel, and
 * the number of these outputs in it. */
typedef struct {
    int64_t at, row, width;
} Part;

INLINE Part part_of(int64_t inputs, int64_t outputs, int64_t place, int64_t input, int64_t output) {
    int64_t inside = output % PANEL, begin = output - inside, row = min(PANEL, outputs - begin);
    return (Part){(begin * PLACES + place * row) * inputs + input * row + inside, row, row - inside};
}

/* Loads column `q` of a tile with `stride` between places. */
INLINE void load_column(const float *from, int64_t stride, int64_t q, int64_t lanes, Line column) {
    WRITTEN_OUT for (int p = 0; p < TILE; p++) column[p] = load(from + (p * TILE + q) * stride, lanes);
}

static void kernel_tile(const float *taps, int64_t lane, int64_t size, const float *matrix, float *u, int64_t stride,
                        int64_t lanes) {
    Line half[TILE], in, out;
    for (int64_t j = 0; j < size; j++) {
        for (int64_t i = 0; i < size; i++) {
            Lanes values = {0};
            for (int64_t n = 0; n < lanes; n++) values[n] = taps[n * lane + i * size + j];
            in[i] = values;
        }
        apply(matrix, size, 1, TILE, size, in, out);
        for (int p = 0; p < TILE; p++) half[p][j] = out[p];
    }
    for (int p = 0; p < TILE; p++) {
        apply(matrix, size, 1, TILE, size, half[p], out);
        for (int q = 0; q < TILE; q++) store(u + (p * TILE + q) * stride, out[q], lanes);
    }
}

/* U = G g G^T of taps g (outputs, inputs, size, size); `matrix` is G (TILE, size). */
void EXPORTED(kernels)(const float *taps, int64_t size, const float *matrix, float *u, int64_t inputs, int64_t outputs,
                       int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o += LANES) {
            Part to = part_of(inputs, outputs, 0, i, o);
            kernel_tile(taps + (o * inputs + i) * size * size, inputs * size * size, size, matrix, u + to.at, inputs * to.row,
                        min(LANES, to.width));
        }
}

static void taps_tile(const float *u, int64_t stride, const float *matrix, int64_t size, float *taps, int64_t lane,
                      int64_t lanes) {
    Line half[TILE], in, out;
    for (int q = 0; q < TILE; q++) {
        load_column(u, stride, q, lanes, in);
        apply(matrix, 1, size, size, TILE, in, out);
        for (int64_t i = 0; i < size; i++) half[i][q] = out[i];
    }
    for (int64_t i = 0; i < size; i++) {
        apply(matrix, 1, size, size, TILE, half[i], out);
        for (int64_t j = 0; j < size; j++)
            for (int64_t n = 0; n < lanes; n++) taps[n * lane + i * size + j] = out[j][n];
    }
}

/* The transpose of `kernels`: writes the gradient of the taps. */
void EXPORTED(taps)(const float *u, int64_t inputs, int64_t outputs, const float *matrix, int64_t size, float *taps,
                    int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o += LANES) {
            Part from = part_of(inputs, outputs, 0, i, o);
            taps_tile(u + from.at, inputs * from.row, matrix, size, taps + (o * inputs + i) * size * size,
                      inputs * size * size, min(LANES, from.width));
        }
}

/* All results are computed before they are stored: strided stores take half the time when they are consecutive. */
static void input_transform_tile(const float *x, Tiling tiling, int64_t channels, int64_t top, int64_t left, float *tile,
                                 int64_t stride, int non_temporal) {
    Line half[TILE], values[TILE], in, out;
    for (int64_t start = 0; start < channels; start += LANES) {
        int64_t lanes = channels - start;
        for (int i = 0; i < TILE; i++) {
            int64_t row = top + i;
            int row_inside = row >= 0 && row < tiling.height;
            WRITTEN_OUT for (int j = 0; j < TILE; j++) {
                int64_t column = left + j;
                int inside = row_inside && column >= 0 && column < tiling.width;
                in[j] = inside ? load(x + (row * tiling.width + column) * channels + start, lanes) : (Lanes){0};
            }
            input_transform_line(in, out);
            WRITTEN_OUT for (int q = 0; q < TILE; q++) half[q][i] = out[q];
        }
        for (int q = 0; q < TILE; q++) {
            input_transform_line(half[q], out);
            WRITTEN_OUT for (int p = 0; p < TILE; p++) values[p][q] = out[p];
        }
        for (int p = 0; p < PLACES; p++) {
            float *to = tile + start + p * stride;
            if (non_temporal)
                store_non_temporal(to, values[p / TILE][p % TILE]);
            else
                store(to, values[p / TILE][p % TILE], lanes);
        }
    }
}

/* V = B^T d B for each tile d of x. */
void EXPORTED(input_transform)(const float *x, Tiling tiling, int64_t channels, float *tiles, int64_t stride, int threads) {
    int64_t rows = rows_of(tiling), columns = columns_of(tiling), margin = (TILE - tiling.step) / 2;
    int64_t count = tiling.batch * rows * columns;
    int non_temporal = is_non_temporal(tiles, PLACES * count * channels, channels, stride);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t n = 0; n < count; n++) {
            int64_t top = n / columns % rows * tiling.step - margin, left = n % columns * tiling.step - margin;
            const float *map = x + n / (rows * columns) * tiling.height * tiling.width * channels;
            input_transform_tile(map, tiling, channels, top, left, tiles + n * channels, stride, non_temporal);
        }
        fence_non_temporal();
    }
}

static void input_transform_adjoint_tile(const float *tile, int64_t stride, Tiling tiling, int64_t channels, int64_t top,
                                         int64_t left, float *x, int64_t lanes) {
    Line half[TILE], in, out;
    for (int q = 0; q < TILE; q++) {
        load_column(tile, stride, q, lanes, in);
        input_transform_adjoint_line(in, out);
        WRITTEN_OUT for (int i = 0; i < TILE; i++) half[i][q] = out[i];
    }
    for (int64_t row = top < 0 ? 0 : top; row < min(top + TILE, tiling.height); row++) {
        input_transform_adjoint_line(half[row - top], out);
        WRITTEN_OUT for (int j = 0; j < TILE; j++) {
            int64_t column = left + j;
            if (column < 0 || column >= tiling.width) continue;
            float *pixel = x + (row * tiling.width + column) * channels;
            store(pixel, load(pixel, lanes) + out[j], lanes);
        }
    }
}

/* The transpose of `input_transform`: adds to x. Tiles overlap, so tasks are maps and channels. */
void EXPORTED(input_transform_adjoint)(const float *tiles, int64_t stride, Tiling tiling, int64_t channels, float *x,
                                       int threads) {
    int64_t rows = rows_of(tiling), columns = columns_of(tiling), margin = (TILE - tiling.step) / 2;
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (int64_t map = 0; map < tiling.batch; map++)
        for (int64_t start = 0; start < channels; start += LANES)
            for (int64_t n = 0; n < rows * columns; n++) {
                int64_t top = n / columns * tiling.step - margin, left = n % columns * tiling.step - margin;
                const float *tile = tiles + (map * rows * columns + n) * channels + start;
                input_transform_adjoint_tile(tile, stride, tiling, channels, top, left,
                                             x + map * tiling.height * tiling.width * channels + start, channels - start);
            }
}

/* One term of a sum of convolutions: a map whose `channels` are the `inputs` of a weight from `begin` on, and from which of
 * its outputs on they are summed. dV and dU may be null: no gradient. */
typedef struct {
    const float *v, *u;
    int64_t channels, inputs, begin, outputs, first, stride;
    const float *transposed; /* (PLACES, outputs, inputs): U with inputs last */
    float *dv, *du;
    int64_t fresh; /* whether dV is uninitialised: write, do not add */
} Term;

/* A sum of so many `terms`, whose `outputs` are cut into `maps`. */
typedef struct {
    int64_t terms, outputs, maps;
} Run;

/* The size of the results of a tile in pixels, and the offset of the first in maps of `channels`. */
typedef struct {
    int64_t below, right, pixel;
} Results;

INLINE Results results_of(Tiling tiling, int64_t n, int64_t channels) {
    int64_t columns = columns_of(tiling), rows = rows_of(tiling);
    int64_t top = n / columns % rows * tiling.step, left = n % columns * tiling.step;
    return (Results){
        .below = min(tiling.step, tiling.height - top),
        .right = min(tiling.step, tiling.width - left),
        .pixel = ((n / (rows * columns) * tiling.height + top) * tiling.width + left) * channels,
    };
}

/* The address of an output in one of several maps of `channels` each. */
INLINE float *place(float *const *maps, int64_t channels, int64_t output) {
    return maps[output / channels] + output % channels;
}

static void output_transform_tile(const float *products, int64_t stride, int64_t begin, int64_t outputs, Tiling tiling,
                                  int64_t n, float *const *maps, int64_t channels) {
    Results to = results_of(tiling, n, channels);
    Line half[MOST], in, out;
    for (int64_t start = 0, lanes; start < outputs; start += lanes) {
        float *map = place(maps, channels, begin + start) + to.pixel;
        lanes = min(LANES, min(outputs - start, channels - (begin + start) % channels));
        for (int q = 0; q < TILE; q++) {
            load_column(products + start, stride, q, lanes, in);
            output_transform_line(in, out, tiling.step);
            WRITTEN_OUT for (int i = 0; i < MOST; i++) half[i][q] = out[i];
        }
        for (int64_t i = 0; i < to.below; i++) {
            output_transform_line(half[i], out, tiling.step);
            WRITTEN_OUT for (int j = 0; j < MOST; j++) {
                if (j < to.right) store(map + (i * tiling.width + j) * channels, out[j], lanes);
            }
        }
    }
}

/* The products of the tiles from `first` on at one place, summed over the terms. */
INLINE void products_at(int64_t p, const Term *terms, int64_t count, int64_t first, int64_t many, int64_t begin,
                        int64_t width, float *products) {
    for (int64_t t = 0; t < count; t++) {
        Term term = terms[t];
        const float *v = term.v + p * term.stride + first * term.channels;
        for (int64_t w = 0, wide; w < width; w += wide) {
            Part of = part_of(term.inputs, term.outputs, p, term.begin, term.first + begin + w);
            wide = min(of.width, width - w);
            const float *u = term.u + of.at;
            Ahead ahead = {u + term.inputs * of.row, v + term.stride, term.channels * of.row,
                           w > 0 ? 0 : many * term.channels};
            product(v, term.channels, 1, u, of.row, term.channels, products + w, width, many, wide, t > 0, ahead);
        }
    }
}

/* The maps of one run, within a parallel region. Tasks are blocks of tiles and of outputs, whose products stay in the cache
 * until their transform; a thread without a task continues with the next run. With a single block, tasks are the places, and
 * `parity` alternates between two workspaces, so that no thread waits for the transforms of the other. */
static void sum_run(const Term *terms, Run run, Tiling tiling, float *const *maps, float *workspace, int *parity) {
    int64_t count = run.terms, outputs = run.outputs, channels = outputs / run.maps;
    int64_t tiles = tiling.batch * rows_of(tiling) * columns_of(tiling);
    int64_t blocks = (tiles + BLOCK - 1) / BLOCK, chunks = (outputs + CHUNK - 1) / CHUNK;
    int64_t stride = BLOCK * CHUNK + LANES; /* not a power of two, so that places do not share a cache line */
    if (blocks == 1) {
        stride = BLOCK * WIDE_CHUNK + LANES;
        for (int64_t begin = 0; begin < outputs; begin += WIDE_CHUNK) {
            int64_t width = min(WIDE_CHUNK, outputs - begin);
            float *products = workspace + (*parity)++ % 2 * PLACES * stride;
#pragma omp for schedule(static)
            for (int64_t p = 0; p < PLACES; p++) products_at(p, terms, count, 0, tiles, begin, width, products + p * stride);
#pragma omp for schedule(static) nowait
            for (int64_t n = 0; n < tiles; n++)
                output_transform_tile(products + n * width, stride, begin, width, tiling, n, maps, channels);
        }
        return;
    }
    float *products = workspace + thread_number() * stride * PLACES;
#pragma omp for schedule(dynamic) nowait
    for (int64_t task = 0; task < chunks * blocks; task++) {
        int64_t begin = task / blocks * CHUNK, width = min(CHUNK, outputs - begin);
        int64_t first = task % blocks * BLOCK, many = min(BLOCK, tiles - first);
        for (int64_t p = 0; p < PLACES; p++) products_at(p, terms, count, first, many, begin, width, products + p * stride);
        for (int64_t n = 0; n < many; n++)
            output_transform_tile(products + n * width, stride, begin, width, tiling, first + n, maps, channels);
    }
}

/* maps = A^T [ sum over terms of V U ] A of all runs. `workspace` holds as many floats as the function `workspace` returns. */
void EXPORTED(sum)(const Term *terms, const Run *runs, int64_t count, Tiling tiling, float *const *maps, float *workspace,
                   int threads) {
#pragma omp parallel num_threads(threads)
    {
        const Term *of = terms;
        float *const *into = maps;
        int parity = 0;
        for (int64_t n = 0; n < count; of += runs[n].terms, into += runs[n].maps, n++)
            sum_run(of, runs[n], tiling, into, workspace, &parity);
    }
}

/* dM of a tile at the places from `first` to `last`. */
static void output_transform_adjoint_tile(float *products, int64_t stride, int64_t begin, int64_t outputs, Tiling tiling,
                                          int64_t n, float *const *maps, int64_t channels, int64_t first, int64_t last) {
    Results to = results_of(tiling, n, channels);
    Line half[TILE], in, out;
    for (int64_t start = 0, lanes; start < outputs; start += lanes) {
        const float *map = place(maps, channels, begin + start) + to.pixel;
        lanes = min(LANES, min(outputs - start, channels - (begin + start) % channels));
        for (int j = 0; j < MOST; j++) {
            WRITTEN_OUT for (int i = 0; i < MOST; i++) {
                int inside = i < to.below && j < to.right;
                in[i] = inside ? load(map + (i * tiling.width + j) * channels, lanes) : (Lanes){0};
            }
            output_transform_adjoint_line(in, out, tiling.step);
            WRITTEN_OUT for (int p = 0; p < TILE; p++) half[p][j] = out[p];
        }
        for (int64_t p = first / TILE; p < (last + TILE - 1) / TILE; p++) {
            output_transform_adjoint_line(half[p], out, tiling.step);
            WRITTEN_OUT for (int q = 0; q < TILE; q++) {
                int64_t place = p * TILE + q;
                if (place >= first && place < last) store(products + place * stride + start, out[q], lanes);
            }
        }
    }
}

static void gradients_of_run(const Term *terms, Run run, Tiling tiling, float *const *maps, float *workspace,
                             int64_t first_place, int64_t last_place) {
    int64_t count = run.terms, outputs = run.outputs, channels = outputs / run.maps;
    int64_t tiles = tiling.batch * rows_of(tiling) * columns_of(tiling), stride = PIECE * CHUNK + LANES;
    int64_t pieces = (tiles + PIECE - 1) / PIECE, piece = (tiles + pieces - 1) / pieces;
    for (int64_t first = 0; first < tiles; first += piece)
        for (int64_t begin = 0; begin < outputs; begin += CHUNK) {
            int64_t width = min(CHUNK, outputs - begin), many = min(piece, tiles - first);
            for (int64_t n = 0; n < many; n++)
                output_transform_adjoint_tile(workspace + n * width, stride, begin, width, tiling, first + n, maps,
                                              channels, first_place, last_place);
            for (int64_t p = first_place; p < last_place; p++)
                for (int64_t t = 0; t < count; t++) {
                    Term term = terms[t];
                    const float *dm = workspace + p * stride;
                    int64_t from = term.first + begin, at = p * term.stride + first * term.channels;
                    if (term.dv) {
                        const float *transposed = term.transposed + (p * term.outputs + from) * term.inputs + term.begin;
                        Ahead ahead = {transposed + term.outputs * term.inputs, 0, width * term.inputs, 0};
                        if (term.du) ahead.other = term.v + at + term.stride, ahead.others = many * term.channels;
                        product(dm, width, 1, transposed, term.inputs, width, term.dv + at, term.channels, many, term.channels,
                                begin > 0 || !term.fresh, ahead);
                    }
                    for (int64_t w = 0, wide; term.du && w < width; w += wide) {
                        Part to = part_of(term.inputs, term.outputs, p, term.begin, from + w);
                        wide = min(to.width, width - w);
                        product(term.v + at, 1, term.channels, dm + w, width, many, term.du + to.at, to.row, term.channels,
                                wide, 1, NOTHING);
                    }
                }
        }
}

/* The transpose of `sum`: from the gradients of the maps dM = A dy A^T, and with them dV += dM U^T and dU += V^T dM. Each
 * thread has its own places for all runs, so that its results stay in its caches. `workspace` holds as many floats as the
 * function `workspace` returns. */
void EXPORTED(gradients)(const Term *terms, const Run *runs, int64_t count, Tiling tiling, float *const *maps, float *workspace,
                         int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t share = 0; share < threads; share++) {
        const Term *of = terms;
        float *const *from = maps;
        for (int64_t n = 0; n < count; of += runs[n].terms, from += runs[n].maps, n++)
            gradients_of_run(of, runs[n], tiling, from, workspace, PLACES * share / threads, PLACES * (share + 1) / threads);
    }
}

/* Floats of the workspace of `sum` and `gradients`. */
int64_t EXPORTED(workspace)(int threads) {
    int64_t blocks = threads * (BLOCK * CHUNK + LANES), single = 2 * (BLOCK * WIDE_CHUNK + LANES),
            piece = PIECE * CHUNK + LANES;
    int64_t most = blocks > single ? blocks : single;
    return PLACES * (most > piece ? most : piece);
}

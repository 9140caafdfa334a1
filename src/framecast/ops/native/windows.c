/* The inner loops of windows.py, which describes the results. Frames are (height, width), one after the other; `valid` is 1
 * if a pixel has data, else 0. Tasks are frames, events, or bands of rows. */
#include "lanes.h"
#include "threads.h"

#define BAND 64 /* rows of windows of a task */

typedef struct {
    int64_t frames, height, width;
} Size;

/* Cumulative counts of the pixels above and to the left of each corner: (height + 1) rows of (width + 1) corners, padded at
 * both ends by `pad` copies of the first and the last. */
typedef struct {
    int32_t *corners;
    int64_t height, width, pad;
} Counts;

INLINE int64_t row_of(Counts counts) { return counts.width + 1 + 2 * counts.pad; }

INLINE void count_row(const uint8_t *row, const float *field, float limit, Counts counts, int32_t *out) {
    const int32_t *above = out - row_of(counts);
    int64_t end = counts.pad + 1 + counts.width;
    memset(out, 0, (counts.pad + 1) * sizeof *out);
    for (int64_t c = 0, run = 0; c < counts.width; c++) {
        run += row[c] & (field ? field[c] >= limit : 1);
        out[counts.pad + 1 + c] = above[counts.pad + 1 + c] + run;
    }
    for (int64_t c = 0; c < counts.pad; c++) out[end + c] = out[end - 1];
}

/* Counts the pixels with data, or those of them at which a field reaches a limit. */
static void count(const uint8_t *valid, const float *field, float limit, Counts counts) {
    int64_t row = row_of(counts);
    memset(counts.corners, 0, row * sizeof *counts.corners);
    for (int64_t r = 0; r < counts.height; r++) {
        int32_t *out = counts.corners + (r + 1) * row;
        const uint8_t *pixels = valid + r * counts.width;
        if (field)
            count_row(pixels, field + r * counts.width, limit, counts, out);
        else
            count_row(pixels, 0, 0, counts, out);
    }
}

/* The windows of width `side` around the pixels of row r, clipped to the frame: the offset of the upper left corner of the
 * first window, and that of the lower corners from it. */
typedef struct {
    int64_t first, below, side;
} Row;

INLINE Row row_around(Counts counts, int64_t r, int64_t side) {
    int64_t half = side / 2, top = r > half ? r - half : 0, bottom = min(r + half + 1, counts.height);
    return (Row){.first = top * row_of(counts) + counts.pad - half, .below = (bottom - top) * row_of(counts), .side = side};
}

INLINE float inside(const int32_t *corners, Row row, int64_t c) {
    const int32_t *at = corners + row.first + c;
    return (float)(at[row.below + row.side] - at[row.below] - at[row.side] + at[0]);
}

INLINE int64_t step_of(int64_t side) { return side < 16 ? 1 : side / 8; }

/* Of a row of windows: one over the number of pixels with data, 0 where the centre has none, and the fractions `po` of events. */
INLINE void shares(const uint8_t *valid, int64_t width, int64_t step, Row row, const int32_t *all, const int32_t *truth,
                   float *share, float *po, float *square) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < width; c += step) {
        share[c] = valid[c] ? 1 / inside(all, row, c) : 0;
        po[c] = inside(truth, row, c) * share[c];
        sum += po[c] * po[c];
    }
    *square = sum;
}

INLINE void squares(int64_t width, int64_t step, Row row, const int32_t *forecast, const float *share, const float *po,
                    double *error, double *reference) {
    float apart = 0, square = 0;
#pragma omp simd reduction(+ : apart, square)
    for (int64_t c = 0; c < width; c += step) {
        float pf = inside(forecast, row, c) * share[c];
        apart += (pf - po[c]) * (pf - po[c]);
        square += pf * pf;
    }
    *error += apart;
    *reference += square;
}

/* Whether any pixel of the rows of windows is counted. */
INLINE int any(Counts counts, Row row) {
    const int32_t *last = counts.corners + row_of(counts) - 1, *at = last + (row.first - (counts.pad - row.side / 2));
    return at[row.below] > at[0];
}

/* One event of one frame: `counts` are those of the pixels with data, of the truth and of each forecast; sums of one forecast
 * and the next are `apart` elements apart. */
static void compare_fractions(const Counts *counts, int64_t forecasts, const uint8_t *valid, const int64_t *sides,
                              int64_t scales, float *share, float *po, double *error, double *reference, int64_t apart) {
    int64_t width = counts->width;
    for (int64_t s = 0; s < scales; s++) {
        int64_t step = step_of(sides[s]);
        for (int64_t f = 0; f < forecasts; f++) error[f * apart + s] = reference[f * apart + s] = 0;
        for (int64_t r = 0; r < counts->height; r += step) {
            Row around = row_around(*counts, r, sides[s]);
            int observed = any(counts[1], around), forecast = 0;
            for (int64_t f = 0; f < forecasts; f++) forecast |= any(counts[2 + f], around);
            if (!observed && !forecast) continue;
            float square;
#define ROW(step)                                                                                                              \
    shares(valid + r * width, width, step, around, counts[0].corners, counts[1].corners, share, po, &square);                \
    for (int64_t f = 0; f < forecasts; f++) {                                                                                  \
        reference[f * apart + s] += square;                                                                                    \
        if (any(counts[2 + f], around))                                                                                        \
            squares(width, step, around, counts[2 + f].corners, share, po, error + f * apart + s, reference + f * apart + s); \
        else                                                                                                                   \
            error[f * apart + s] += square;                                                                                    \
    }
            if (step == 1) {
                ROW(1)
            } else {
                ROW(step)
            }
#undef ROW
        }
    }
}

/* `fields` are the truth, then the forecasts; an event is a pixel at or above one of the `limits` (frames, events, 1 +
 * forecasts). Both sums are (forecasts, frames, events, scales). `workspace` holds 2 + forecasts `Counts` for each thread,
 * `lines` 2 rows. */
void framecast_fractions(const float *const *fields, int64_t forecasts, const uint8_t *valid, Size size, const float *limits,
                         int64_t events, const int64_t *sides, int64_t scales, int64_t pad, double *error, double *reference,
                         int32_t *workspace, float *lines, int threads) {
    int64_t pixels = size.height * size.width, corners = (size.height + 1) * (size.width + 1 + 2 * pad);
#pragma omp parallel num_threads(threads)
    {
        Counts counts[2 + forecasts];
        int32_t *own = workspace + (2 + forecasts) * thread_number() * corners;
        float *share = lines + 2 * thread_number() * size.width;
        for (int64_t k = 0; k < 2 + forecasts; k++)
            counts[k] = (Counts){own + k * corners, size.height, size.width, pad};
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < size.frames * events; task++) {
            int64_t n = task / events, at = task * scales;
            count(valid + n * pixels, 0, 0, counts[0]);
            for (int64_t f = 0; f <= forecasts; f++)
                count(valid + n * pixels, fields[f] + n * pixels, limits[task * (1 + forecasts) + f], counts[1 + f]);
            compare_fractions(counts, forecasts, valid + n * pixels, sides, scales, share, share + size.width, error + at,
                              reference + at, size.frames * events * scales);
        }
    }
}

/* For each of the `limits` and `bins` of probability: the number of windows with a forecast in the bin, the sum of these
 * forecasts, and the number of events at their centres, (forecasts, frames, limits, 3, bins); and the squared error
 * (forecasts, frames, limits). `workspace` holds 2 `Counts` for each thread. */
void framecast_probabilities(const float *const *fields, int64_t forecasts, const uint8_t *valid, Size size,
                             const float *limits, int64_t events, int64_t side, int64_t bins, double *binned, double *error,
                             int32_t *workspace, int threads) {
    int64_t pixels = size.height * size.width, pad = side / 2, corners = (size.height + 1) * (size.width + 1 + 2 * pad);
    int64_t step = step_of(side);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < forecasts * size.frames * events; task++) {
        int64_t f = task / (size.frames * events), n = task / events % size.frames;
        const uint8_t *observed = valid + n * pixels;
        const float *truth = fields[0] + n * pixels;
        float limit = limits[task % events];
        Counts all = {workspace + 2 * thread_number() * corners, size.height, size.width, pad}, forecast = all;
        forecast.corners += corners;
        count(observed, 0, 0, all);
        count(observed, fields[1 + f] + n * pixels, limit, forecast);
        double *many = binned + task * 3 * bins, *sum = many + bins, *occurred = sum + bins, wrong = 0;
        memset(many, 0, 3 * bins * sizeof *many);
        for (int64_t r = 0; r < size.height; r += step) {
            Row around = row_around(all, r, side);
            for (int64_t c = 0; c < size.width; c += step) {
                if (!observed[r * size.width + c]) continue;
                double share = inside(forecast.corners, around, c) * (1 / inside(all.corners, around, c));
                int64_t bin = __builtin_lrint(share * (bins - 1));
                int event = truth[r * size.width + c] >= limit;
                many[bin] += 1;
                sum[bin] += share;
                occurred[bin] += event;
                wrong += (share - event) * (share - event);
            }
        }
        error[task] = wrong;
    }
}

/* For windows inside a frame without NaN: the sums of the similarity and of its contrast, and the number of windows, (frames,
 * bands, 3), with BAND rows of windows a band. The weights of a window are products of the weights in `line`; `workspace`
 * holds 5 rows for each thread. With means x and y, variances xx and yy and covariance xy, 2 x y = x^2 + y^2 - (x - y)^2
 * and 2 xy = xx + yy - the variance of the difference, so that it is 1 for equal frames to the last digit. */
void framecast_similarity(const float *x, const float *y, Size size, const float *line, int64_t side, float c1, float c2,
                          float norm, double *sums, float *workspace, int threads) {
    int64_t across = size.width - side + 1, down = size.height - side + 1, bands = (down + BAND - 1) / BAND;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t task = 0; task < size.frames * bands; task++) {
        int64_t n = task / bands, first = task % bands * BAND;
        float *rows = workspace + 5 * thread_number() * size.width;
        double total = 0, contrast_total = 0, number = 0;
        for (int64_t r = first; r < min(first + BAND, down); r++) {
            for (int64_t c = 0; c < size.width; c += LANES) {
                Lanes sum[5] = {{0}};
                for (int64_t k = 0; k < side; k++) {
                    int64_t at = (n * size.height + r + k) * size.width + c;
                    Lanes one = load(x + at, size.width - c), other = load(y + at, size.width - c);
                    Lanes apart = one - other;
                    sum[0] += line[k] * one;
                    sum[1] += line[k] * other;
                    sum[2] += line[k] * one * one;
                    sum[3] += line[k] * other * other;
                    sum[4] += line[k] * apart * apart;
                }
                for (int q = 0; q < 5; q++) store(rows + q * size.width + c, sum[q], size.width - c);
            }
            for (int64_t c = 0; c < across; c += LANES) {
                Lanes mean[5] = {{0}};
                for (int64_t k = 0; k < side; k++)
                    for (int q = 0; q < 5; q++) mean[q] += line[k] * load(rows + q * size.width + c + k, across - c);
                Lanes xx = norm * (mean[2] - mean[0] * mean[0]), yy = norm * (mean[3] - mean[1] * mean[1]);
                Lanes apart = mean[0] - mean[1], difference = norm * (mean[4] - apart * apart);
                Lanes contrast = 1 - difference / (xx + yy + c2);
                Lanes similarity = (1 - apart * apart / (mean[0] * mean[0] + mean[1] * mean[1] + c1)) * contrast;
                for (int64_t k = 0; k < min(LANES, across - c); k++)
                    if (similarity[k] == similarity[k]) {
                        total += similarity[k];
                        contrast_total += contrast[k];
                        number += 1;
                    }
            }
        }
        sums[3 * task] = total;
        sums[3 * task + 1] = contrast_total;
        sums[3 * task + 2] = number;
    }
}

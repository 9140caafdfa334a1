/* Sums over the pixels of frames, of frames.py, which describes the results. Frames are (channels, height, width), one after
 * the other; `valid` (height, width) is 1 if a pixel has data, else 0, and pixels without data may hold anything. */
#include "lanes.h"
#include "threads.h"

typedef struct {
    int64_t frames, channels, height, width;
} Shape;

typedef struct {
    double squared, absolute, image, gradients;
} Errors;

INLINE double within(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

INLINE double distance(double x) { return x < 0 ? -x : x; }

/* One row: `before` is the row above it, or null. */
INLINE Errors row_errors(const float *forecast, const float *truth, const float *image, const float *observed,
                         const uint8_t *valid, int64_t width, int first) {
    double squared = 0, absolute = 0, square = 0, gradients = 0;
#pragma omp simd reduction(+ : squared, absolute, square)
    for (int64_t c = 0; c < width; c++) {
        double error = valid[c] ? (double)forecast[c] - (double)truth[c] : 0;
        double apart = valid[c] ? within(image[c]) - within(observed[c]) : 0;
        squared += error * error;
        absolute += distance(error);
        square += apart * apart;
    }
    if (!first) {
#pragma omp simd reduction(+ : gradients)
        for (int64_t c = 1; c < width; c++) {
            double here = within(image[c]), true_here = within(observed[c]);
            double down = distance(true_here - within(observed[c - width])) - distance(here - within(image[c - width]));
            double along = distance(true_here - within(observed[c - 1])) - distance(here - within(image[c - 1]));
            gradients += valid[c] & valid[c - width] & valid[c - 1] ? down * down + along * along : 0;
        }
    }
    return (Errors){squared, absolute, square, gradients};
}

/* For each frame: the squared and the absolute error, the squared error and the squared difference of absolute gradients of
 * the images, which are cut to [0, 1] (frames, 4). */
void framecast_frame_errors(const float *forecast, const float *truth, const float *image, const float *observed,
                            const uint8_t *valid, Shape shape, double *sums, int threads) {
    int64_t pixels = shape.height * shape.width;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t n = 0; n < shape.frames; n++) {
        Errors total = {0};
        for (int64_t row = 0; row < shape.channels * shape.height; row++) {
            int64_t r = row % shape.height, at = (n * shape.channels * shape.height + row) * shape.width;
            Errors errors = row_errors(forecast + at, truth + at, image + at, observed + at,
                                       valid + n * pixels + r * shape.width, shape.width, r == 0);
            total.squared += errors.squared;
            total.absolute += errors.absolute;
            total.image += errors.image;
            total.gradients += errors.gradients;
        }
        memcpy(sums + 4 * n, &total, sizeof total);
    }
}

/* The numbers of pixels with data at which the forecast, the truth, and both reach a limit, and of all pixels with data, each
 * times the channels: (frames, events, 4). */
void framecast_events(const float *forecast, const float *truth, const uint8_t *valid, Shape shape, const float *limits,
                      int64_t events, int64_t *counts, int threads) {
    int64_t pixels = shape.height * shape.width;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t n = 0; n < shape.frames; n++) {
        int64_t *out = counts + 4 * n * events;
        memset(out, 0, 4 * events * sizeof *out);
        for (int64_t row = 0; row < shape.channels * shape.height; row++) {
            const uint8_t *known = valid + n * pixels + row % shape.height * shape.width;
            int64_t at = (n * shape.channels * shape.height + row) * shape.width;
            for (int64_t k = 0; k < events; k++) {
                int32_t predicted = 0, observed = 0, both = 0, all = 0;
#pragma omp simd reduction(+ : predicted, observed, both, all)
                for (int64_t c = 0; c < shape.width; c++) {
                    int32_t p = known[c] & (forecast[at + c] >= limits[k]), o = known[c] & (truth[at + c] >= limits[k]);
                    predicted += p;
                    observed += o;
                    both += p & o;
                    all += known[c];
                }
                out[4 * k] += predicted;
                out[4 * k + 1] += observed;
                out[4 * k + 2] += both;
                out[4 * k + 3] += all;
            }
        }
    }
}

/* The sums of the power |F|^2 of the Fourier coefficients `F` (frames, places, 2) in each ring: `ring` and `weight` are those
 * of each place; (frames, rings). */
void framecast_rings(const float *coefficients, int64_t frames, int64_t places, const int64_t *ring, const float *weight,
                     int64_t rings, double *sums, int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t n = 0; n < frames; n++) {
        const float *at = coefficients + 2 * n * places;
        double *out = sums + n * rings;
        memset(out, 0, rings * sizeof *out);
        for (int64_t k = 0; k < places; k++)
            out[ring[k]] += weight[k] * (at[2 * k] * at[2 * k] + at[2 * k + 1] * at[2 * k + 1]);
    }
}

/* Correlates fields with a line of weights `(2 half + 1)` along their rows and their columns. What lies outside of a field is 0,
 * or with `extend` the nearest pixel. `workspace` holds (height + 2 half) (width + 2 half) floats for each thread. */
void framecast_filter(const float *fields, int64_t frames, int64_t height, int64_t width, const float *line, int64_t half,
                      int extend, float *out, float *workspace, int threads) {
    int64_t across = width + 2 * half;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t n = 0; n < frames; n++) {
        const float *field = fields + n * height * width;
        float *rows = workspace + thread_number() * (height + 2 * half) * across;
        /* along the columns, into rows with a margin */
        for (int64_t r = 0; r < height; r++) {
            float *row = rows + r * across + half;
            for (int64_t c = 0; c < width; c += LANES) {
                Lanes sum = {0};
                for (int64_t k = -half; k <= half; k++) {
                    int64_t from = r + k;
                    if (from < 0 || from >= height) {
                        if (!extend) continue;
                        from = from < 0 ? 0 : height - 1;
                    }
                    sum += line[k + half] * load(field + from * width + c, width - c);
                }
                store(row + c, sum, width - c);
            }
            for (int64_t c = 1; c <= half; c++) {
                row[-c] = extend ? row[0] : 0;
                row[width - 1 + c] = extend ? row[width - 1] : 0;
            }
        }
        for (int64_t r = 0; r < height; r++)
            for (int64_t c = 0; c < width; c += LANES) {
                Lanes sum = {0};
                for (int64_t k = 0; k <= 2 * half; k++)
                    sum += line[k] * load(rows + r * across + c + k, across - c - k);
                store(out + n * height * width + r * width + c, sum, width - c);
            }
    }
}

#define PLACES 256 /* whose corners and weights are kept between the fields */

/* Fields (fields, height, width) of up to 2^31 pixels at places by linear interpolation, with the border extended: (fields,
 * places). */
void framecast_sample(const float *field, int64_t fields, int64_t height, int64_t width, const float *rows,
                      const float *columns, int64_t places, float *out, int threads) {
    const int32_t wide = width, last_row = height - 1, last_column = width - 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t begin = 0; begin < places; begin += PLACES) {
        const int32_t count = min(PLACES, places - begin);
        int32_t corner[4][PLACES];
        float down[PLACES], along[PLACES];
#pragma omp simd
        for (int32_t k = 0; k < count; k++) {
            float r = rows[begin + k], c = columns[begin + k];
            r = r > 0 ? r : 0, c = c > 0 ? c : 0;
            r = r < last_row ? r : last_row, c = c < last_column ? c : last_column;
            int32_t top = r, left = c, at = top * wide + left;
            int32_t next = left < last_column ? 1 : 0, below = top < last_row ? wide : 0;
            down[k] = r - top, along[k] = c - left;
            corner[0][k] = at, corner[1][k] = at + next, corner[2][k] = at + below, corner[3][k] = at + below + next;
        }
        for (int64_t f = 0; f < fields; f++) {
            const float *values = field + f * height * width;
            float *to = out + f * places + begin;
#pragma omp simd
            for (int32_t k = 0; k < count; k++) {
                float first = values[corner[0][k]], second = values[corner[2][k]];
                float upper = first + along[k] * (values[corner[1][k]] - first);
                float lower = second + along[k] * (values[corner[3][k]] - second);
                to[k] = upper + down[k] * (lower - upper);
            }
        }
    }
}

/* Non-temporal stores, which bypass the caches, for data that is written with a large stride and not read soon: a line is not
 * fetched before it is written. They need complete lines, the size of a register of AVX-512. */
#ifndef NON_TEMPORAL_H
#define NON_TEMPORAL_H

#include "lanes.h"

#define MUCH (8 << 20) /* floats that exceed any cache */

#if LANES == 16
#include <immintrin.h>

/* Whether non-temporal stores are faster for `count` floats in rows of `row` with `stride`: if they exceed the caches, and
 * always on processors of Intel, where they take a third of the time for any size. */
INLINE int is_non_temporal(const float *to, int64_t count, int64_t row, int64_t stride) {
    int aligned = (uintptr_t)to % sizeof(Lanes) == 0 && row % LANES == 0 && stride % LANES == 0;
    return aligned && (count > MUCH || __builtin_cpu_is("intel"));
}

INLINE void store_non_temporal(float *to, Lanes values) { _mm512_stream_ps(to, (__m512)values); }

/* Makes the non-temporal stores of this thread visible to other threads. */
INLINE void fence_non_temporal(void) { _mm_sfence(); }
#else
INLINE int is_non_temporal(const float *to, int64_t count, int64_t row, int64_t stride) {
    (void)to, (void)count, (void)row, (void)stride;
    return 0;
}
INLINE void store_non_temporal(float *to, Lanes values) { store(to, values, LANES); }
INLINE void fence_non_temporal(void) {}
#endif

#endif

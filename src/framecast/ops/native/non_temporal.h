/* Stores past the caches, for what is written far apart and not read at once: a line need not be fetched before it is
 * written. Only whole lines can be stored so, which a register is with AVX-512. */
#ifndef NON_TEMPORAL_H
#define NON_TEMPORAL_H

#include "lanes.h"

#define MUCH (8 << 20) /* floats that no cache keeps */

#if LANES == 16
#include <immintrin.h>

/* Whether `count` floats in rows of `row`, every `apart`, are better stored so. Where they are more than the caches hold, and
 * on processors of Intel always: there it takes a third of the time, also of what would fit. */
INLINE int is_non_temporal(const float *to, int64_t count, int64_t row, int64_t apart) {
    int whole = (uintptr_t)to % sizeof(Lanes) == 0 && row % LANES == 0 && apart % LANES == 0;
    return whole && (count > MUCH || __builtin_cpu_is("intel"));
}

INLINE void store_non_temporal(float *to, Lanes values) { _mm512_stream_ps(to, (__m512)values); }

/* From here on other threads see what this one has stored so. */
INLINE void fence_non_temporal(void) { _mm_sfence(); }
#else
INLINE int is_non_temporal(const float *to, int64_t count, int64_t row, int64_t apart) {
    (void)to, (void)count, (void)row, (void)apart;
    return 0;
}
INLINE void store_non_temporal(float *to, Lanes values) { store(to, values, LANES); }
INLINE void fence_non_temporal(void) {}
#endif

#endif

/* Vectors of the floats of a register. The files are compiled once for each type of processor, with LANES 16 for AVX-512, 8
 * for AVX2 and 4 for anything else; library.py loads the one for the processor. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 4
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));
typedef int32_t Integers __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(sizeof(int32_t))));

/* The first `count` floats at `from`, zeros after them. */
INLINE Lanes load(const float *from, int64_t count) {
    Lanes values = {0};
    if (count >= LANES) return *(const Lanes *)from;
    memcpy(&values, from, count * sizeof(float));
    return values;
}

INLINE void store(float *to, Lanes values, int64_t count) {
    if (count >= LANES)
        *(Lanes *)to = values;
    else
        memcpy(to, &values, count * sizeof(float));
}

INLINE int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

#endif

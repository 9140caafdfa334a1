/* Sixteen floats that are worked on at once: one register with AVX-512, two with AVX2, four with NEON. The compiler makes one
 * form of a function for each of the first two, and the program takes the one that its processor has. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#define LANES 16
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FORMS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define WIDE_REGISTERS __builtin_cpu_supports("avx512f")
#else
#define FORMS
#define WIDE_REGISTERS 0
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors are handed to inlined functions only */
#endif

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));
typedef int32_t Whole __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(sizeof(int32_t))));

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

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

#endif

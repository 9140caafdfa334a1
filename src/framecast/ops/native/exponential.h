/* e^x of the floats of a register. */
#ifndef EXPONENTIAL_H
#define EXPONENTIAL_H

#include "lanes.h"

INLINE Lanes all(float value) { return (Lanes){0} + value; }

INLINE Lanes choose(Integers where, Lanes a, Lanes b) { return (Lanes)((where & (Integers)a) | (~where & (Integers)b)); }

/* 2^n e^r with r between -ln(2) / 2 and ln(2) / 2, of which e^r is a polynomial (Cephes, Moshier 1992): to 2e-7. */
INLINE Lanes exponential(Lanes x) {
    const float shift = 12582912.f; /* 1.5 x 2^23: a float that is added to it is rounded to an integer */
    x = choose(x < -87.f, all(-87.f), choose(x > 88.f, all(88.f), x));
    Lanes shifted = x * 1.44269504f + shift, n = shifted - shift;
    Lanes r = x - n * 0.693359375f + n * 2.12194440e-4f;
    Lanes p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    Integers power = ((Integers)shifted - 0x4B400000 + 127) << 23;
    return (p * r * r + r + 1.f) * (Lanes)power;
}

#endif

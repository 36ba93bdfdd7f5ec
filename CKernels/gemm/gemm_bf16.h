/** The number format bf16. Internal to the matrix product and the convolution. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include "ck_gemm.h"

#include <string.h>

/** Rounds to nearest, ties to even; what is too large becomes infinite, NaN stays NaN. */
static inline ck_bf16 ck_bf16_rounded(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
    return (ck_bf16)((value != value ? bits | 0x400000 : rounded) >> 16);
}

/** Exact. */
static inline float ck_bf16_float(ck_bf16 value) {
    const uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

#endif

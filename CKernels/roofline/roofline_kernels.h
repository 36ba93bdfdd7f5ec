/** The implementations behind ck_roofline.h, one pair per instruction set. */
#ifndef CK_ROOFLINE_KERNELS_H
#define CK_ROOFLINE_KERNELS_H

#include <stddef.h>

/** Runs `steps` rounds from `start`; returns the sum of all lanes, so that nothing can be left out. */
typedef float ck_roofline_fma(size_t steps, float start);
typedef void ck_roofline_copy(const float *from, float *to, size_t count);

ck_roofline_fma ck_roofline_fma_portable, ck_roofline_fma_avx2, ck_roofline_fma_avx512;
ck_roofline_copy ck_roofline_copy_portable, ck_roofline_copy_avx2, ck_roofline_copy_avx512;

/** Multiply-adds of one round and lane: chains enough to hide the latency, few enough for 16 registers. */
enum { CK_ROOFLINE_CHAINS = 12 };

#endif

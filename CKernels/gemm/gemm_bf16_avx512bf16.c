#if defined(__x86_64__)
#define CK_SIMD_AVX512BF16
#define TILE_ROWS 14
#define PRODUCT_BF16
#include "simd/ck_simd.h"

#include "gemm/gemm_impl.h"
#include "simd/ck_simd_end.h"
#endif

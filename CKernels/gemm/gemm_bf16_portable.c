#define CK_SIMD_PORTABLE
#if defined(__aarch64__)
#define TILE_ROWS 8
#else
#define TILE_ROWS 4
#endif
#define PRODUCT_BF16
#include "simd/ck_simd.h"

#include "gemm/gemm_impl.h"
#include "simd/ck_simd_end.h"

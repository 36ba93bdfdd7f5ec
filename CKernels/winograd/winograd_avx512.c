#if defined(__x86_64__)
#define CK_SIMD_AVX512
#include "simd/ck_simd.h"

#include "winograd/winograd_impl.h"
#include "simd/ck_simd_end.h"
#endif

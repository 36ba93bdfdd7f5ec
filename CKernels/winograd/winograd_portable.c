#define CK_SIMD_PORTABLE
#include "simd/ck_simd.h"

#include "winograd/winograd_impl.h"
#include "simd/ck_simd_end.h"

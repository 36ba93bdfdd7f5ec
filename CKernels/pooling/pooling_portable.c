#define CK_SIMD_PORTABLE
#include "simd/ck_simd.h"

#include "pooling/pooling_impl.h"
#include "simd/ck_simd_end.h"

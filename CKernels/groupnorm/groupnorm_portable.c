#define CK_SIMD_PORTABLE
#include "simd/ck_simd.h"

#include "groupnorm/groupnorm_impl.h"
#include "simd/ck_simd_end.h"

#define CK_SIMD_PORTABLE
#include "simd/ck_simd.h"

#include "inline/inline_impl.h"
#include "simd/ck_simd_end.h"

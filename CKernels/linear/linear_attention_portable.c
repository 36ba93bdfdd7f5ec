#define CK_SIMD_PORTABLE
#include "simd/ck_simd.h"

#include "linear/linear_attention_impl.h"
#include "simd/ck_simd_end.h"

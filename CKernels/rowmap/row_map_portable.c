#define CK_SIMD_PORTABLE
#include "simd/ck_simd.h"

#include "rowmap/row_map_impl.h"
#include "simd/ck_simd_end.h"

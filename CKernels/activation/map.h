#ifndef CK_MAP_COMMON_H
#define CK_MAP_COMMON_H

#include "ck_map.h"

typedef void ck_map_function(ck_function function, size_t count, const float *x, float *out);

ck_map_function ck_map_f32_ref, ck_map_f32_portable, ck_map_f32_avx2, ck_map_f32_avx512;

#endif

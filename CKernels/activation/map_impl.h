/* The functions of simd/ck_math.h over arrays. */
#include "activation/map.h"

CK_INLINE void map_all(vf (*function)(vf), size_t count, const float *x, float *out) {
    size_t i = 0;
    for (; i + VL <= count; i += VL) v_store(out + i, function(v_load(x + i)));
    if (i < count) v_store_n(out + i, function(v_load_n(x + i, count - i)), count - i);
}

void CK_NAME(ck_map_f32)(ck_function function, size_t count, const float *x, float *out) {
    switch (function) {
    case CK_FUNCTION_EXP: map_all(v_exp, count, x, out); break;
    case CK_FUNCTION_ELU1: map_all(v_elu1, count, x, out); break;
    case CK_FUNCTION_GELU: map_all(v_gelu, count, x, out); break;
    case CK_FUNCTION_SILU: map_all(v_silu, count, x, out); break;
    case CK_FUNCTION_GELU_TANH: map_all(v_gelu_tanh, count, x, out); break;
    }
}

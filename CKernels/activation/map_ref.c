/* The specification of the elementary functions, in double. */
#include "activation/map.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

static double value(ck_function function, double x) {
    switch (function) {
    case CK_FUNCTION_EXP: return exp(x);
    case CK_FUNCTION_ELU1: return x > 0 ? x + 1 : exp(x);
    case CK_FUNCTION_GELU: return x * erfc(-x / sqrt(2)) / 2; /* 1 + erf(x) = erfc(-x) */
    case CK_FUNCTION_SILU: return x / (1 + exp(-x));
    }
    return NAN;
}

void ck_map_f32_ref(ck_function function, size_t count, const float *x, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = (float)value(function, x[i]);
}

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
    /* (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), without cancellation */
    case CK_FUNCTION_GELU_TANH: return x / (1 + exp(-1.59576912160573071176 * (x + 0.044715 * x * x * x)));
    }
    return NAN;
}

void ck_map_f32_ref(ck_function function, size_t count, const float *x, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = (float)value(function, x[i]);
}

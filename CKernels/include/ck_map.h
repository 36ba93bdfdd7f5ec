#ifndef CK_MAP_H
#define CK_MAP_H

#include "ck_pool.h"

/** The elementary functions of the kernels. */
typedef enum {
    CK_FUNCTION_EXP = 0,
    CK_FUNCTION_ELU1 = 1, /**< ELU + 1: x + 1 for x > 0, else exp(x) */
    CK_FUNCTION_GELU = 2, /**< exact: x * (1 + erf(x / sqrt 2)) / 2 */
    CK_FUNCTION_SILU = 3,     /**< x / (1 + exp(-x)) */
    CK_FUNCTION_GELU_TANH = 4 /**< x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2 */
} ck_function;

/** `out[i] = function(x[i])` for `count` values. Error bounds: activation/README.md. */
typedef struct {
    ck_function function;
    size_t count;
    const float *x;
    float *out; /**< may be x itself */
} ck_map_args;

ck_status ck_map_f32(const ck_context *context, const ck_map_args *args);

#endif

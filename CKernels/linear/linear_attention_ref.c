/* The specification of the linear attentions: linear/README.md, step by step, everything in double. */
#include "linear/linear_attention.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

typedef struct {
    const ck_linear_attention_args *args;
    double *scratch;
} job;

static double feature(ck_feature map, double x) {
    switch (map) {
    case CK_FEATURE_ELU1: return x > 0 ? x + 1 : exp(x);
    case CK_FEATURE_RELU: return x > 0 || isnan(x) ? x : 0;
    case CK_FEATURE_SILU: return x / (1 + exp(-x));
    default: return x;
    }
}

static void attend(void *arguments, size_t head, size_t worker) {
    const job *const own = arguments;
    const ck_linear_attention_args *const args = own->args;
    const size_t m = args->features, e = args->value_dim;
    double *const s = own->scratch + worker * ck_linear_attention_ref_doubles(args), *const key_sum = s + m * e;
    double *const highest = key_sum + m, *const row = highest + m, *const divisor = row + m;
    for (size_t i = 0; i < m; i++) {
        key_sum[i] = 0;
        divisor[i] = 1;
        highest[i] = 0;
        for (size_t j = 0; j < e; j++) s[i * e + j] = 0;
    }
    if (args->key_feature == CK_FEATURE_TOKEN_SOFTMAX) {
        for (size_t i = 0; i < m; i++) {
            highest[i] = -INFINITY;
            divisor[i] = 0;
            for (size_t n = 0; n < args->key_tokens; n++)
                highest[i] = fmax(highest[i], args->k[ck_head_offset(args->k_strides, args->heads, head, n) + i]);
            for (size_t n = 0; n < args->key_tokens; n++)
                divisor[i] += exp(args->k[ck_head_offset(args->k_strides, args->heads, head, n) + i] - highest[i]);
        }
    }
    for (size_t n = 0; n < args->key_tokens; n++) {
        const float *const k = args->k + ck_head_offset(args->k_strides, args->heads, head, n);
        const float *const v = args->v + ck_head_offset(args->v_strides, args->heads, head, n);
        for (size_t i = 0; i < m; i++) {
            const double f = args->key_feature == CK_FEATURE_TOKEN_SOFTMAX ? exp(k[i] - highest[i]) / divisor[i]
                                                                           : feature(args->key_feature, k[i]);
            key_sum[i] += f;
            for (size_t j = 0; j < e; j++) s[i * e + j] += f * v[j];
        }
    }
    for (size_t n = 0; n < args->tokens; n++) {
        const float *const q = args->q + ck_head_offset(args->q_strides, args->heads, head, n);
        const float *const local =
            args->local ? args->local + ck_head_offset(args->local_strides, args->heads, head, n) : NULL;
        float *const out = args->out + ck_head_offset(args->out_strides, args->heads, head, n);
        double scale = args->scale ? args->scale[head % args->heads] : 1, sum = 0;
        for (size_t i = 0; i < m; i++) {
            row[i] = feature(args->query_feature, q[i]);
            sum += row[i] * key_sum[i];
        }
        sum += args->epsilon;
        if (args->normalised) scale /= sum < args->lower_bound ? args->lower_bound : sum;
        for (size_t j = 0; j < e; j++) {
            double core = 0;
            for (size_t i = 0; i < m; i++) core += row[i] * s[i * e + j];
            out[j] = (float)(scale * core + (local ? (double)local[j] : 0));
        }
    }
}

void ck_linear_attention_f32_ref(ck_pool *pool, const ck_linear_attention_args *args, float *scratch) {
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, attend, &own);
}

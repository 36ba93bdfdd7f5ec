/* The specification of scattered attention: scattered/README.md, step by step, everything in double. */
#include "scattered/scattered.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

typedef struct {
    const ck_scattered_args *args;
    double *scratch;
} job;

static double phi(double x) { return x > 0 || isnan(x) ? x : 0; }

/* Task: one head of one group. */
static void attend(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_scattered_args *const args = own->args;
    const size_t d = args->head_dim, column = task % args->heads * d;
    const ck_row_group group = args->groups[task / args->heads];
    const float *const q = args->q + group.first * args->q_stride + column;
    const float *const k = args->k + group.first * args->k_stride + column;
    const float *const v = args->v + group.first * args->v_stride + column;
    float *const out = args->out + group.first * args->out_stride + column;
    double *const kv = own->scratch + worker * (d + 1) * d, *const key_sum = kv + d * d;

    for (size_t c = 0; c < d; c++) {
        key_sum[c] = 0;
        for (size_t i = 0; i < group.count; i++) key_sum[c] += phi(k[i * args->k_stride + c]);
        for (size_t e = 0; e < d; e++) {
            kv[c * d + e] = 0;
            for (size_t i = 0; i < group.count; i++)
                kv[c * d + e] += phi(k[i * args->k_stride + c]) * v[i * args->v_stride + e];
        }
    }
    for (size_t i = 0; i < group.count; i++) {
        double z = 0;
        for (size_t c = 0; c < d; c++) z += phi(q[i * args->q_stride + c]) * key_sum[c];
        for (size_t e = 0; e < d; e++) {
            double numerator = 0;
            for (size_t c = 0; c < d; c++) numerator += phi(q[i * args->q_stride + c]) * kv[c * d + e];
            out[i * args->out_stride + e] = (float)(numerator / (z + 1e-6));
        }
    }
}

void ck_scattered_f32_ref(ck_pool *pool, const ck_scattered_args *args, const ck_scattered_work *work,
                          float *scratch) {
    (void)work;
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->group_count * args->heads, attend, &own);
}

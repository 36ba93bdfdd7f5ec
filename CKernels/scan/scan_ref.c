/* The specification of the scans: scan/README.md, step by step, everything in double. */
#include "scan/scan.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

typedef struct {
    const ck_bidirectional_scan_args *args;
    double *scratch;
} bidirectional_job;

/* One token: state = state * decay, numerator and divisor of the token from the state with or without its own key. */
static void visit(const ck_bidirectional_scan_args *args, size_t head, size_t token, double decay, int own_included,
                  double *state, double *numerator, double *divisor) {
    const size_t m = args->features, e = args->value_dim;
    const float *const q = args->q + ck_head_offset(args->q_strides, args->heads, head, token);
    const float *const k = args->k + ck_head_offset(args->k_strides, args->heads, head, token);
    const float *const v = args->v + ck_head_offset(args->v_strides, args->heads, head, token);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j <= e; j++) { /* column e counts the keys */
            double *const s = state + i * (e + 1) + j;
            const double own = k[i] * (j < e ? (double)v[j] : 1);
            *s *= decay;
            if (own_included) *s += own;
            *(j < e ? numerator + j : divisor) += q[i] * *s;
            if (!own_included) *s += own;
        }
    }
}

static void scan_head(void *arguments, size_t head, size_t worker) {
    const bidirectional_job *const job = arguments;
    const ck_bidirectional_scan_args *const args = job->args;
    const size_t tokens = args->tokens, m = args->features, e = args->value_dim;
    double *const state = job->scratch + worker * ck_scan_ref_doubles(m, e, tokens);
    double *const numerator = state + m * (e + 1), *const divisor = numerator + tokens * e;
    for (size_t i = 0; i < tokens * (e + 1); i++) numerator[i] = 0;
    for (size_t p = 0; p < args->paths; p++) {
        for (int backward = 0; backward < 2; backward++) {
            double decay = 0;
            for (size_t i = 0; i < m * (e + 1); i++) state[i] = 0;
            for (size_t step = 0; step < tokens; step++) {
                const size_t n = ck_scan_token(&args->path[p], backward ? tokens - 1 - step : step);
                visit(args, head, n, decay, !backward, state, numerator + n * e, divisor + n);
                decay = args->path[p].decay[ck_head_offset(args->path[p].decay_strides, args->heads, head, n)];
            }
        }
    }
    for (size_t n = 0; n < tokens; n++)
        for (size_t j = 0; j < e; j++)
            args->out[ck_head_offset(args->out_strides, args->heads, head, n) + j] =
                (float)(numerator[n * e + j] / (divisor[n] + args->epsilon));
}

void ck_bidirectional_scan_f32_ref(ck_pool *pool, const ck_bidirectional_scan_args *args, float *scratch) {
    bidirectional_job job = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, scan_head, &job);
}

typedef struct {
    const ck_causal_scan_args *args;
    double *scratch;
} causal_job;

/* log sigmoid(x) without overflow */
static double log_sigmoid(double x) { return (x < 0 ? x : 0) - log1p(exp(-fabs(x))); }

static void causal_head(void *arguments, size_t head, size_t worker) {
    const causal_job *const job = arguments;
    const ck_causal_scan_args *const args = job->args;
    const size_t m = args->features, e = args->value_dim;
    double *const state = job->scratch + worker * ck_scan_ref_doubles(m, e, args->tokens);
    double *const log_sum = state + m * e, *const answer = log_sum + m;
    for (size_t i = 0; i < m * e; i++) state[i] = 0;
    for (size_t i = 0; i < m; i++) log_sum[i] = -INFINITY;
    for (size_t n = 0; n < args->tokens; n++) {
        const float *const q = args->q + ck_head_offset(args->q_strides, args->heads, head, n);
        const float *const k = args->k + ck_head_offset(args->k_strides, args->heads, head, n);
        const float *const v = args->v + ck_head_offset(args->v_strides, args->heads, head, n);
        for (size_t j = 0; j < e; j++) answer[j] = 0;
        for (size_t i = 0; i < m; i++) {
            double decay, key, query;
            if (args->kind == CK_SCAN_GATED) {
                const float *const gate = args->gate + ck_head_offset(args->gate_strides, args->heads, head, n);
                decay = exp(log_sigmoid(gate[i]) / 16);
                key = k[i];
                query = q[i];
            } else {
                const double before = log_sum[i], highest = fmax(before, k[i]);
                log_sum[i] = highest + log1p(exp(-fabs(before - k[i])));
                decay = exp(before - log_sum[i]);
                key = exp(k[i] - log_sum[i]);
                query = q[i] / (1 + exp(-(double)q[i]));
            }
            for (size_t j = 0; j < e; j++) {
                state[i * e + j] = decay * state[i * e + j] + key * v[j];
                answer[j] += query * state[i * e + j];
            }
        }
        float *const out = args->out + ck_head_offset(args->out_strides, args->heads, head, n);
        for (size_t j = 0; j < e; j++) out[j] = (float)(args->scale * answer[j]);
    }
}

void ck_causal_scan_f32_ref(ck_pool *pool, const ck_causal_scan_args *args, float *scratch) {
    causal_job job = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, causal_head, &job);
}

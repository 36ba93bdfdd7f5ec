/* The specification of RALA: rala/README.md, step by step, everything in double. */
#include "attention/attention_ref.h"
#include "rala/rala.h"

typedef struct {
    const ck_attention_args *args;
    double *scratch;
} job;

static void attend(void *arguments, size_t head, size_t worker) {
    const job *const own = arguments;
    const ck_attention_args *const args = own->args;
    const size_t tokens = args->tokens, d = args->head_dim;
    const ck_ref_arrays r = ck_ref_arrays_of(args, own->scratch + worker * ck_ref_doubles(args));
    double *const g = r.a, *const u = r.b, *const a = r.per_token, *const s = r.summary;
    ck_ref_prepare(args, head, ck_ref_elu1, args->q, args->q_stride, r.q, r.rotated_q);
    ck_ref_prepare(args, head, ck_ref_elu1, args->k, args->k_stride, r.k, r.rotated_k);

    for (size_t t = 0; t < d; t++) {
        g[t] = 0;
        for (size_t n = 0; n < tokens; n++) g[t] += r.q[n * d + t];
        g[t] /= (double)tokens;
    }
    double highest = -INFINITY, sum = 0;
    for (size_t m = 0; m < tokens; m++) {
        a[m] = ck_ref_dot(g, r.k + m * d, d) / sqrt((double)d);
        highest = fmax(highest, a[m]);
    }
    for (size_t m = 0; m < tokens; m++) {
        a[m] = exp(a[m] - highest);
        sum += a[m];
    }
    for (size_t m = 0; m < tokens; m++) a[m] /= sum;

    for (size_t i = 0; i < d; i++) {
        u[i] = 0;
        for (size_t m = 0; m < tokens; m++) u[i] += a[m] * r.k[m * d + i];
        for (size_t j = 0; j < d; j++) {
            s[i * d + j] = 0;
            for (size_t m = 0; m < tokens; m++)
                s[i * d + j] += a[m] * r.rotated_k[m * d + i] * ck_ref_at(args, args->v, args->v_stride, head, m)[j];
        }
    }
    for (size_t n = 0; n < tokens; n++) {
        const double denominator = ck_ref_dot(r.q + n * d, u, d) + 1e-6;
        for (size_t j = 0; j < d; j++) {
            double core = 0;
            for (size_t i = 0; i < d; i++) core += r.rotated_q[n * d + i] * s[i * d + j];
            ck_ref_finish(args, head, n, j, core / denominator);
        }
    }
}

void ck_rala_f32_ref(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, attend, &own);
}

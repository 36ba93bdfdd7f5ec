/* The specification of MALA: mala/README.md, step by step, everything in double. */
#include "attention/attention_ref.h"
#include "mala/mala.h"

typedef struct {
    const ck_attention_args *args;
    double *scratch;
} job;

static void attend(void *arguments, size_t head, size_t worker) {
    const job *const own = arguments;
    const ck_attention_args *const args = own->args;
    const size_t tokens = args->tokens, d = args->head_dim;
    const ck_ref_arrays r = ck_ref_arrays_of(args, own->scratch + worker * ck_ref_doubles(args));
    double *const mean_key = r.a, *const mean_value = r.b, *const s = r.summary;
    const double scale = 1 / sqrt((double)d);
    ck_ref_prepare(args, head, ck_ref_elu1, args->q, args->q_stride, r.q, r.rotated_q);
    ck_ref_prepare(args, head, ck_ref_elu1, args->k, args->k_stride, r.k, r.rotated_k);

    for (size_t i = 0; i < d; i++) {
        mean_key[i] = mean_value[i] = 0;
        for (size_t m = 0; m < tokens; m++) {
            mean_key[i] += r.k[m * d + i] / (double)tokens;
            mean_value[i] += ck_ref_at(args, args->v, args->v_stride, head, m)[i] / (double)tokens;
        }
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t m = 0; m < tokens; m++)
                sum += r.rotated_k[m * d + i] * ck_ref_at(args, args->v, args->v_stride, head, m)[j];
            s[i * d + j] = scale / (double)tokens * sum;
        }
    }
    for (size_t n = 0; n < tokens; n++) {
        const double z = scale * ck_ref_dot(r.q + n * d, mean_key, d);
        for (size_t j = 0; j < d; j++) {
            double core = 0;
            for (size_t i = 0; i < d; i++) core += r.rotated_q[n * d + i] * s[i * d + j];
            ck_ref_finish(args, head, n, j, core * (1 + 1 / (z + 1e-6)) - z * mean_value[j]);
        }
    }
}

void ck_mala_f32_ref(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, attend, &own);
}

/* The specification of softmax attention: one query at a time, everything in double. */
#include "attention/attention_ref.h"
#include "softmax/softmax.h"

typedef struct {
    const ck_attention_args *args;
    double *scratch;
} job;

static void attend(void *arguments, size_t head, size_t worker) {
    const job *const own = arguments;
    const ck_attention_args *const args = own->args;
    const size_t tokens = args->tokens, d = args->head_dim;
    const ck_ref_arrays r = ck_ref_arrays_of(args, own->scratch + worker * ck_ref_doubles(args));
    double *const score = r.per_token;
    ck_ref_prepare(args, head, ck_ref_identity, args->q, args->q_stride, r.q, r.rotated_q);
    ck_ref_prepare(args, head, ck_ref_identity, args->k, args->k_stride, r.k, r.rotated_k);
    for (size_t n = 0; n < tokens; n++) {
        double highest = -INFINITY, sum = 0;
        for (size_t m = 0; m < tokens; m++) {
            score[m] = ck_ref_dot(r.rotated_q + n * d, r.rotated_k + m * d, d) / sqrt((double)d);
            highest = fmax(highest, score[m]);
        }
        for (size_t m = 0; m < tokens; m++) {
            score[m] = exp(score[m] - highest);
            sum += score[m];
        }
        for (size_t t = 0; t < d; t++) {
            double core = 0;
            for (size_t m = 0; m < tokens; m++)
                core += score[m] / sum * ck_ref_at(args, args->v, args->v_stride, head, m)[t];
            ck_ref_finish(args, head, n, t, core);
        }
    }
}

void ck_softmax_attention_f32_ref(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, attend, &own);
}

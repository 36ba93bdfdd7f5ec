/* The specification of InLine attention: inline/README.md, step by step, everything in double. */
#include "attention/attention_ref.h"
#include "inline/inline.h"

typedef struct {
    const ck_attention_args *args;
    double (*map)(double);
    double *scratch;
} job;

static double relu(double x) { return x < 0 ? 0 : x; }
static double leaky_relu(double x) { return x < 0 ? 0.01 * x : x; }
static double slow_exp(double x) { return exp(0.2 * x); }

static void attend(void *arguments, size_t head, size_t worker) {
    const job *const own = arguments;
    const ck_attention_args *const args = own->args;
    const size_t tokens = args->tokens, d = args->head_dim;
    const ck_ref_arrays r = ck_ref_arrays_of(args, own->scratch + worker * ck_ref_doubles(args));
    double *const mean_key = r.a, *const mean_value = r.b, *const covariance = r.summary;
    const double scale = 1 / sqrt((double)d);
    ck_ref_prepare(args, head, own->map, args->q, args->q_stride, r.q, r.rotated_q);
    ck_ref_prepare(args, head, own->map, args->k, args->k_stride, r.k, r.rotated_k);

    for (size_t i = 0; i < d; i++) {
        mean_key[i] = mean_value[i] = 0;
        for (size_t m = 0; m < tokens; m++) {
            mean_key[i] += r.k[m * d + i] / (double)tokens;
            mean_value[i] += ck_ref_at(args, args->v, args->v_stride, head, m)[i] / (double)tokens;
        }
    }
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t m = 0; m < tokens; m++)
                sum += (r.k[m * d + i] - mean_key[i]) *
                       (ck_ref_at(args, args->v, args->v_stride, head, m)[j] - mean_value[j]);
            covariance[i * d + j] = scale / (double)tokens * sum;
        }
    }
    for (size_t n = 0; n < tokens; n++) {
        for (size_t j = 0; j < d; j++) {
            double core = mean_value[j];
            for (size_t i = 0; i < d; i++) core += r.q[n * d + i] * covariance[i * d + j];
            ck_ref_finish(args, head, n, j, core);
        }
    }
}

void ck_inline_f32_ref(ck_pool *pool, const ck_attention_args *args, ck_inline_function function, float *scratch) {
    static double (*const maps[CK_INLINE_COUNT])(double) = {
        [CK_INLINE_IDENTITY] = ck_ref_identity,
        [CK_INLINE_RELU] = relu,
        [CK_INLINE_LEAKY_RELU] = leaky_relu,
        [CK_INLINE_EXP] = slow_exp,
    };
    job own = {args, maps[function], (double *)scratch};
    ck_pool_run(pool, args->batch * args->heads, attend, &own);
}

/* The specification of few-head attention: fewhead/README.md, step by step, everything in double. */
#include "attention/attention_ref.h"
#include "fewhead/fewhead.h"

typedef struct {
    const ck_fewhead_args *args;
    double *scratch;
} job;

static double phi(double x) { return (x > 0 || isnan(x) ? x : 0) + 1e-6; }

/* The depthwise branch at token n, channel t of a head. */
static double local(const ck_fewhead_args *args, size_t head, size_t n, size_t t) {
    const size_t k = args->kernel, radius = k / 2, d = args->attention.head_dim;
    double sum = args->bias ? args->bias[t] : 0;
    for (size_t ky = 0; ky < k; ky++) {
        for (size_t kx = 0; kx < k; kx++) {
            const size_t y = n / args->width + ky, x = n % args->width + kx; /* plus radius */
            if (y < radius || y - radius >= args->height || x < radius || x - radius >= args->width) continue;
            const size_t from = (y - radius) * args->width + x - radius;
            sum += (double)args->weight[(ky * k + kx) * d + t] *
                   ck_ref_at(&args->attention, args->attention.v, args->attention.v_stride, head, from)[t];
        }
    }
    return sum;
}

static void attend(void *arguments, size_t head, size_t worker) {
    const job *const own = arguments;
    const ck_attention_args *const args = &own->args->attention;
    const size_t tokens = args->tokens, d = args->head_dim;
    const ck_ref_arrays r = ck_ref_arrays_of(args, own->scratch + worker * ck_ref_doubles(args));
    double *const mean_key = r.a, *const s = r.summary;
    ck_ref_prepare(args, head, phi, args->q, args->q_stride, r.q, r.rotated_q);
    ck_ref_prepare(args, head, phi, args->k, args->k_stride, r.k, r.rotated_k);

    for (size_t i = 0; i < d; i++) {
        mean_key[i] = 0;
        for (size_t m = 0; m < tokens; m++) mean_key[i] += r.k[m * d + i] / (double)tokens;
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t m = 0; m < tokens; m++)
                sum += r.k[m * d + i] * ck_ref_at(args, args->v, args->v_stride, head, m)[j];
            s[i * d + j] = sum / (double)tokens;
        }
    }
    for (size_t n = 0; n < tokens; n++) {
        const double z = 1 / (ck_ref_dot(r.q + n * d, mean_key, d) + 1e-6);
        for (size_t j = 0; j < d; j++) {
            double core = 0;
            for (size_t i = 0; i < d; i++) core += r.q[n * d + i] * s[i * d + j];
            ck_ref_finish(args, head, n, j, core * z + (own->args->weight ? local(own->args, head, n, j) : 0));
        }
    }
}

void ck_fewhead_f32_ref(ck_pool *pool, const ck_fewhead_args *args, float *scratch) {
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->attention.batch * args->attention.heads, attend, &own);
}

#include "ck_roofline.h"

#include "roofline/roofline_kernels.h"

typedef struct {
    size_t lanes;
    ck_roofline_fma *fma;
    ck_roofline_copy *copy;
} probes;

static const probes table[CK_ISA_COUNT] = {
    [CK_ISA_PORTABLE] = {4, ck_roofline_fma_portable, ck_roofline_copy_portable},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {8, ck_roofline_fma_avx2, ck_roofline_copy_avx2},
    [CK_ISA_AVX512] = {16, ck_roofline_fma_avx512, ck_roofline_copy_avx512},
#endif
};

static const probes *lookup(const ck_context *context) {
    if (context->isa >= CK_ISA_COUNT || !ck_isa_available(context->isa)) return NULL;
    return table[context->isa].fma ? &table[context->isa] : NULL;
}

typedef struct {
    const probes *own;
    size_t steps;
} fma_job;

static void run_fma(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const fma_job *const job = arguments;
    volatile float sink = job->own->fma(job->steps, (float)task);
    (void)sink;
}

ck_status ck_roofline_fma_f32(const ck_context *context, size_t steps, double *flops) {
    if (context == NULL || flops == NULL) return CK_BAD_ARGUMENT;
    fma_job job = {lookup(context), steps};
    if (job.own == NULL) return CK_UNAVAILABLE;
    const size_t threads = ck_pool_threads(context->pool);
    ck_pool_run(context->pool, threads, run_fma, &job);
    *flops = 2.0 * CK_ROOFLINE_CHAINS * (double)job.own->lanes * (double)steps * (double)threads;
    return CK_OK;
}

typedef struct {
    const probes *own;
    const float *from;
    float *to;
    size_t count, share, rounds;
} copy_job;

static void run_copy(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const copy_job *const job = arguments;
    const size_t first = task * job->share;
    if (first >= job->count) return;
    const size_t count = job->count - first < job->share ? job->count - first : job->share;
    for (size_t round = 0; round < job->rounds; round++) {
        job->own->copy(job->from + first, job->to + first, count);
        /* Otherwise a compiler may see that every round writes the same. */
        __asm__ volatile("" ::: "memory");
    }
}

ck_status ck_roofline_copy_f32(const ck_context *context, const float *from, float *to, size_t count, size_t rounds) {
    if (context == NULL || from == NULL || to == NULL) return CK_BAD_ARGUMENT;
    if (count == 0 || rounds == 0) return CK_BAD_SHAPE;
    copy_job job = {lookup(context), from, to, count, 0, rounds};
    if (job.own == NULL) return CK_UNAVAILABLE;
    const size_t threads = ck_pool_threads(context->pool);
    job.share = (count + threads - 1) / threads;
    ck_pool_run(context->pool, threads, run_copy, &job);
    return CK_OK;
}

#include "scattered/scattered.h"

static ck_scattered_function *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_scattered_f32_ref,
    [CK_ISA_PORTABLE] = ck_scattered_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_scattered_f32_avx2,
    [CK_ISA_AVX512] = ck_scattered_f32_avx512,
#endif
};

enum { HIGHEST_HEAD_DIM = 1024 };

static ck_status check_sizes(const ck_context *context, const ck_scattered_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->rows == 0 || args->heads == 0) return CK_BAD_SHAPE;
    if (args->head_dim == 0 || args->head_dim > HIGHEST_HEAD_DIM) return CK_BAD_SHAPE;
    size_t channels, count;
    if (__builtin_mul_overflow(args->heads, args->head_dim, &channels)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(channels, args->rows, &count)) return CK_BAD_SHAPE;
    if (args->group_count > 0 && args->groups == NULL) return CK_BAD_ARGUMENT;
    for (size_t g = 0, end = 0; g < args->group_count; g++) {
        const ck_row_group group = args->groups[g];
        if (group.first < end || group.first > args->rows || group.count > args->rows - group.first)
            return CK_BAD_SHAPE;
        end = group.first + group.count;
    }
    return CK_OK;
}

/* Cuts the groups into tasks; counts them only where `work` has no room. */
static void plan(const ck_scattered_args *args, ck_scattered_work *work) {
    work->chunk_count = work->batch_count = 0;
    size_t first = 0, rows = 0; /* of the batch in the making */
    for (size_t g = 0; g <= args->group_count; g++) {
        const size_t count = g < args->group_count ? args->groups[g].count : 0;
        const int large = count > CK_SCATTERED_CHUNK_ROWS;
        const int full = rows >= CK_SCATTERED_BATCH_ROWS || g - first == CK_SCATTERED_BATCH_GROUPS;
        if (g > first && (large || full || g == args->group_count)) {
            if (work->batches) work->batches[work->batch_count] = (ck_scattered_batch){first, g - first};
            work->batch_count++;
            first = g;
            rows = 0;
        }
        rows += count;
        if (!large) continue;
        const ck_range whole = {args->groups[g].first, count};
        size_t parts = ck_ceil_div(count, CK_SCATTERED_CHUNK_ROWS);
        if (parts > CK_LINEAR_CHUNKS) parts = CK_LINEAR_CHUNKS;
        for (size_t part = 0; part < parts; part++, work->chunk_count++) {
            if (work->chunks == NULL) continue;
            ck_range own = ck_part(whole.count, parts, part);
            own.first += whole.first;
            work->chunks[work->chunk_count] = (ck_scattered_chunk){own, part, parts};
        }
        first = g + 1;
        rows = 0;
    }
}

static size_t whole_lines(size_t bytes) { return ck_ceil_div(bytes, 64) * 64; }

static size_t work_bytes(const ck_scattered_work *work) {
    return whole_lines(work->chunk_count * sizeof *work->chunks) +
           whole_lines(work->batch_count * sizeof *work->batches);
}

size_t ck_scattered_scratch(const ck_context *context, const ck_scattered_args *args) {
    if (check_sizes(context, args) != CK_OK) return 0;
    ck_scattered_work work = {0};
    plan(args, &work);
    const size_t workers = ck_pool_threads(context->pool), d = args->head_dim;
    if (context->isa == CK_ISA_REF) return work_bytes(&work) + workers * (d + 1) * d * sizeof(double);
    return work_bytes(&work) + ck_scattered_layout_of(args, work.chunk_count, workers).total * sizeof(float);
}

ck_status ck_scattered_f32(const ck_context *context, const ck_scattered_args *args, void *scratch) {
    const ck_status status = check_sizes(context, args);
    if (status != CK_OK) return status;
    const size_t channels = args->heads * args->head_dim;
    if (!args->q || !args->k || !args->v || !args->out || !scratch) return CK_BAD_ARGUMENT;
    if (args->q_stride < channels || args->k_stride < channels || args->v_stride < channels) return CK_BAD_ARGUMENT;
    if (args->out_stride < channels) return CK_BAD_ARGUMENT;
    ck_scattered_work work = {0};
    plan(args, &work);
    char *const memory = scratch;
    work.chunks = scratch;
    work.batches = (ck_scattered_batch *)(memory + whole_lines(work.chunk_count * sizeof *work.chunks));
    float *const rest = (float *)(memory + work_bytes(&work));
    plan(args, &work);
    implementations[context->isa](context->pool, args, &work, rest);
    return CK_OK;
}

#include "rowmap/row_map.h"

#include "attention/heads.h"

#include <math.h>

static const ck_row_functions *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = &ck_row_map_f32_ref,
    [CK_ISA_PORTABLE] = &ck_row_map_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = &ck_row_map_f32_avx2,
    [CK_ISA_AVX512] = &ck_row_map_f32_avx512,
#endif
};

enum { TASK_ROWS = 64 };

typedef struct {
    const ck_row_map_args *args;
    const ck_row_functions *functions;
    size_t tasks;   /* of a head */
    float *highest; /* [batch * heads][tasks] */
} job;

static size_t last_token(const job *own, size_t task) {
    const size_t last = (task % own->tasks + 1) * TASK_ROWS;
    return last < own->args->tokens ? last : own->args->tokens;
}

static void find_highest(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const ck_row_map_args *const args = own->args;
    float highest = -INFINITY;
    for (size_t n = task % own->tasks * TASK_ROWS; n < last_token(own, task); n++) {
        const float *const x = args->x + ck_head_offset(args->x_strides, args->heads, task / own->tasks, n);
        const float found = own->functions->highest(x, args->dim, args->scale);
        if (found > highest) highest = found;
    }
    own->highest[task] = highest;
}

static void map_rows(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const ck_row_map_args *const args = own->args;
    const size_t head = task / own->tasks;
    ck_row row = {.highest = -INFINITY};
    if (args->function == CK_ROW_EXP_HEAD)
        for (size_t t = head * own->tasks; t < (head + 1) * own->tasks; t++)
            if (own->highest[t] > row.highest) row.highest = own->highest[t];
    for (size_t n = task % own->tasks * TASK_ROWS; n < last_token(own, task); n++) {
        row.x = args->x + ck_head_offset(args->x_strides, args->heads, head, n);
        row.y = args->y ? args->y + ck_head_offset(args->y_strides, args->heads, head, n) : NULL;
        row.addend = args->addend ? args->addend + n * args->dim : NULL;
        row.gate = args->gate ? args->gate + ck_head_offset(args->gate_strides, args->heads, head, n) : NULL;
        row.out = args->out + ck_head_offset(args->out_strides, args->heads, head, n);
        own->functions->map(args, &row);
    }
}

static ck_status check_sizes(const ck_context *context, const ck_row_map_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->heads == 0 || args->tokens == 0 || args->dim == 0) return CK_BAD_SHAPE;
    size_t heads, rows;
    if (__builtin_mul_overflow(args->batch, args->heads, &heads)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(heads, args->tokens, &rows)) return CK_BAD_SHAPE;
    return CK_OK;
}

static size_t tasks_of_head(const ck_row_map_args *args) { return (args->tokens - 1) / TASK_ROWS + 1; }

size_t ck_row_map_scratch(const ck_context *context, const ck_row_map_args *args) {
    if (check_sizes(context, args) != CK_OK || args->function != CK_ROW_EXP_HEAD) return 0;
    return args->batch * args->heads * tasks_of_head(args) * sizeof(float);
}

ck_status ck_row_map_f32(const ck_context *context, const ck_row_map_args *args, void *scratch) {
    const ck_status status = check_sizes(context, args);
    if (status != CK_OK) return status;
    if ((unsigned)args->function >= CK_ROW_COUNT || args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->function == CK_ROW_SOFTMAX_PAIR && args->x == args->out) return CK_BAD_ARGUMENT;
    const size_t out_dim = args->function == CK_ROW_SOFTMAX_PAIR ? 2 * args->dim : args->dim;
    if (args->x_strides.row < args->dim || args->out_strides.row < out_dim) return CK_BAD_ARGUMENT;
    if (args->y && args->y_strides.row < args->y_dim) return CK_BAD_ARGUMENT;
    if (args->gate && args->gate_strides.row < args->dim) return CK_BAD_ARGUMENT;
    job own = {args, implementations[context->isa], tasks_of_head(args), scratch};
    const size_t tasks = args->batch * args->heads * own.tasks;
    if (args->function == CK_ROW_EXP_HEAD) {
        if (scratch == NULL) return CK_BAD_ARGUMENT;
        ck_pool_run(context->pool, tasks, find_highest, &own);
    }
    ck_pool_run(context->pool, tasks, map_rows, &own);
    return CK_OK;
}

#include "activation/map.h"

static ck_map_function *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_map_f32_ref,
    [CK_ISA_PORTABLE] = ck_map_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_map_f32_avx2,
    [CK_ISA_AVX512] = ck_map_f32_avx512,
#endif
};

enum { TASK_FLOATS = 16384 };

typedef struct {
    const ck_map_args *args;
    ck_map_function *map;
} job;

static void run_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const size_t first = task * TASK_FLOATS, left = own->args->count - first;
    own->map(own->args->function, left < TASK_FLOATS ? left : TASK_FLOATS, own->args->x + first,
             own->args->out + first);
}

ck_status ck_map_f32(const ck_context *context, const ck_map_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->count == 0) return CK_BAD_SHAPE;
    if (args->function > CK_FUNCTION_GELU_TANH || args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    job own = {args, implementations[context->isa]};
    ck_pool_run(context->pool, (args->count - 1) / TASK_FLOATS + 1, run_task, &own);
    return CK_OK;
}

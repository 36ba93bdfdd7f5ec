/* The probes over the vector vocabulary. */
#include "roofline/roofline_kernels.h"

float CK_NAME(ck_roofline_fma)(size_t steps, float start) {
    vf sum[CK_ROOFLINE_CHAINS];
#pragma clang loop unroll(full)
    for (int chain = 0; chain < CK_ROOFLINE_CHAINS; chain++) sum[chain] = v_set(start + (float)chain);
    /* The fixed point of x * 0.5 + 0.5 is 1: no overflow and no slow subnormal number, however long it runs. */
    const vf half = v_set(0.5f);
    for (size_t step = 0; step < steps; step++) {
#pragma clang loop unroll(full)
        for (int chain = 0; chain < CK_ROOFLINE_CHAINS; chain++) sum[chain] = v_fma(sum[chain], half, half);
    }
#pragma clang loop unroll(full)
    for (int chain = 1; chain < CK_ROOFLINE_CHAINS; chain++) sum[0] = v_add(sum[0], sum[chain]);
    return v_sum(sum[0]);
}

void CK_NAME(ck_roofline_copy)(const float *from, float *to, size_t count) {
    size_t i = 0;
    for (; i + 4 * VL <= count; i += 4 * VL) {
        const vf a = v_load(from + i), b = v_load(from + i + VL);
        const vf c = v_load(from + i + 2 * VL), d = v_load(from + i + 3 * VL);
        v_store(to + i, a);
        v_store(to + i + VL, b);
        v_store(to + i + 2 * VL, c);
        v_store(to + i + 3 * VL, d);
    }
    for (; i < count; i += VL) {
        const size_t n = count - i < VL ? count - i : VL;
        v_store_n(to + i, v_load_n(from + i, n), n);
    }
}

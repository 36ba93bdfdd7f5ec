#ifndef CK_ROOFLINE_H
#define CK_ROOFLINE_H

#include "ck_pool.h"

/**
 * Probes of what the machine can do at best: the two lines of a roofline plot. They compute nothing of use; callers
 * time them. `ref` has none: it is a specification, not an attempt at speed.
 */

/**
 * Every worker runs `steps` rounds of independent multiply-adds that never leave the registers.
 *
 * @param flops receives the floating-point operations of all workers; a multiply-add counts as 2.
 * @return CK_BAD_ARGUMENT for NULL, CK_UNAVAILABLE for `ref` and for what the machine lacks.
 */
ck_status ck_roofline_fma_f32(const ck_context *context, size_t steps, double *flops);

/**
 * Every worker copies its own share of `count` floats from `from` to `to`, `rounds` times: 8 bytes of traffic per float
 * and round, half read and half written.
 *
 * @return as above; CK_BAD_SHAPE when `count` or `rounds` is 0.
 */
ck_status ck_roofline_copy_f32(const ck_context *context, const float *from, float *to, size_t count, size_t rounds);

#endif

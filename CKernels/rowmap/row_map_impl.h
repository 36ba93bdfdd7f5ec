/* Functions of whole rows (mathematics: rowmap/README.md). */
#include "rowmap/row_map.h"

CK_INLINE vf row_load(const float *p, size_t c, size_t dim) {
    return dim - c >= VL ? v_load(p + c) : v_load_n(p + c, dim - c);
}
CK_INLINE void row_store(float *p, size_t c, size_t dim, vf x) {
    if (dim - c >= VL) {
        v_store(p + c, x);
    } else {
        v_store_n(p + c, x, dim - c);
    }
}
/* x where the row has channels, else `other` */
CK_INLINE vf row_lanes(vf x, size_t c, size_t dim, float other) {
    if (dim - c >= VL) return x;
    return v_select_gt(v_first(v_set(1), dim - c), v_zero(), x, v_set(other));
}

static float row_highest(const float *x, size_t dim, float scale) {
    vf highest = v_set(-INFINITY);
    for (size_t c = 0; c < dim; c += VL)
        highest = v_max(row_lanes(v_mul(row_load(x, c, dim), v_set(scale)), c, dim, -INFINITY), highest);
    return v_highest(highest);
}

/* out = max(softmax(sign * x), least) */
static void row_softmax(const float *x, size_t dim, float sign, float least, float *out) {
    const vf highest = v_set(row_highest(x, dim, sign));
    vf sum = v_zero();
    for (size_t c = 0; c < dim; c += VL) {
        const vf weight = v_exp_nonpositive(v_sub(v_mul(row_load(x, c, dim), v_set(sign)), highest));
        sum = v_add(sum, row_lanes(weight, c, dim, 0));
        row_store(out, c, dim, weight);
    }
    const vf scale = v_set(1 / v_sum(sum));
    for (size_t c = 0; c < dim; c += VL)
        row_store(out, c, dim, v_max(v_set(least), v_mul(row_load(out, c, dim), scale)));
}

static float row_square(const float *x, size_t dim) {
    vf sum = v_zero();
    for (size_t c = 0; c < dim; c += VL) sum = v_fma(row_load(x, c, dim), row_load(x, c, dim), sum);
    return v_sum(sum);
}

static void row_exp(const ck_row_map_args *args, const ck_row *row, float highest) {
    const float less = row->y ? args->norm_scale * row_square(row->y, args->y_dim) : 0;
    for (size_t c = 0; c < args->dim; c += VL) {
        const vf below = v_sub(v_mul(row_load(row->x, c, args->dim), v_set(args->scale)), v_set(highest));
        const vf power = v_exp_nonpositive(v_sub(below, v_set(less)));
        row_store(row->out, c, args->dim, v_add(power, v_set(args->offset)));
    }
}

static void row_unit_silu(const float *x, size_t dim, float *out) {
    vf sum = v_zero();
    for (size_t c = 0; c < dim; c += VL) {
        const vf y = row_lanes(v_add(v_silu(row_load(x, c, dim)), v_set(0.5f)), c, dim, 0);
        sum = v_fma(y, y, sum);
        row_store(out, c, dim, y);
    }
    const vf scale = v_set(1 / sqrtf(v_sum(sum)));
    for (size_t c = 0; c < dim; c += VL) row_store(out, c, dim, v_mul(row_load(out, c, dim), scale));
}

/* Divided by the row's highest number before it is cubed, so that a row of tiny numbers does not vanish. */
static void row_focused(const ck_row_map_args *args, const ck_row *row) {
    const size_t dim = args->dim;
    for (size_t c = 0; c < dim; c += VL) {
        vf x = row_load(row->x, c, dim);
        if (row->addend) x = v_add(x, row_load(row->addend, c, dim));
        x = v_add(v_max(v_zero(), x), v_set(1e-6f));
        row_store(row->out, c, dim, args->weight ? v_mul(x, row_load(args->weight, c, dim)) : x);
    }
    const float highest = row_highest(row->out, dim, 1);
    const vf shrink = v_set(1 / highest);
    vf sum = v_zero(), cubes = v_zero();
    for (size_t c = 0; c < dim; c += VL) {
        const vf y = v_mul(row_load(row->out, c, dim), shrink), cube = v_mul(v_mul(y, y), y);
        sum = v_fma(y, y, sum);
        cubes = v_fma(cube, cube, cubes);
        row_store(row->out, c, dim, cube);
    }
    const vf scale = v_set(highest * sqrtf(v_sum(sum) / v_sum(cubes)));
    for (size_t c = 0; c < dim; c += VL) row_store(row->out, c, dim, v_mul(row_load(row->out, c, dim), scale));
}

static void row_rms_norm(const ck_row_map_args *args, const ck_row *row) {
    const size_t dim = args->dim;
    const float mean = row_square(row->x, dim) / (float)dim;
    const vf scale = v_set(1 / (sqrtf(mean + args->inner_epsilon) + args->outer_epsilon));
    for (size_t c = 0; c < dim; c += VL) {
        vf x = v_mul(row_load(row->x, c, dim), scale);
        if (args->weight) x = v_mul(x, row_load(args->weight, c, dim));
        if (row->gate) x = v_mul(x, v_silu(row_load(row->gate, c, dim)));
        row_store(row->out, c, dim, x);
    }
}

static void row_gelu(const ck_row_map_args *args, const ck_row *row) {
    for (size_t c = 0; c < args->dim; c += VL) {
        const vf x = v_gelu(row_load(row->x, c, args->dim));
        const vf weight = args->weight ? row_load(args->weight, c, args->dim) : v_set(1);
        const vf shift = args->shift ? row_load(args->shift, c, args->dim) : v_zero();
        row_store(row->out, c, args->dim, v_fma(x, weight, shift));
    }
}

static void row_map(const ck_row_map_args *args, const ck_row *row) {
    const size_t dim = args->dim;
    switch (args->function) {
    case CK_ROW_SOFTMAX: row_softmax(row->x, dim, 1, 0, row->out); break;
    case CK_ROW_SOFTMAX_PAIR:
        row_softmax(row->x, dim, 1, 1e-12f, row->out);
        row_softmax(row->x, dim, -1, 1e-12f, row->out + dim);
        break;
    case CK_ROW_EXP: row_exp(args, row, row_highest(row->x, dim, args->scale)); break;
    case CK_ROW_EXP_HEAD: row_exp(args, row, row->highest); break;
    case CK_ROW_RELU:
        for (size_t c = 0; c < dim; c += VL)
            row_store(row->out, c, dim, v_add(v_max(v_zero(), row_load(row->x, c, dim)), v_set(args->offset)));
        break;
    case CK_ROW_GELU: row_gelu(args, row); break;
    case CK_ROW_UNIT_SILU: row_unit_silu(row->x, dim, row->out); break;
    case CK_ROW_FOCUSED: row_focused(args, row); break;
    default: row_rms_norm(args, row); break;
    }
}

const ck_row_functions CK_NAME(ck_row_map_f32) = {row_map, row_highest};

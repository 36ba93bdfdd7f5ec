/*
 * Scans over the tokens of a head (mathematics and order of summation: scan/README.md). A task carries some columns of
 * one head's state, which is small enough to stay in the first-level cache, from token to token.
 */
#include "scan/scan.h"

enum { SCAN_VECTORS = CK_SCAN_COLUMNS / VL < 4 ? CK_SCAN_COLUMNS / VL : 4, SCAN_COLUMNS = SCAN_VECTORS * VL };

static size_t column_blocks(size_t value_dim) { return (value_dim + SCAN_COLUMNS - 1) / SCAN_COLUMNS; }

CK_INLINE vf columns_load(const float *p, size_t n) { return n >= VL ? v_load(p) : v_load_n(p, n); }
CK_INLINE void columns_store(float *p, vf x, size_t n) {
    if (n >= VL) {
        v_store(p, x);
    } else {
        v_store_n(p, x, n);
    }
}

/* What one token does to the state. */
typedef struct {
    const float *q, *k;     /* [features] */
    const float *decay;     /* of row i: decay[i * decay_step] */
    size_t decay_step;
    const float *v;         /* the task's columns */
} scan_step;

/*
 * state = decay * state + k^T v and answer = q * state, before or after the token's own key. The answer is summed over
 * the rows in 4 / vectors interleaved chains, so that four are always under way.
 */
CK_INLINE void visit_rows(const scan_step *step, const int own_included, size_t features, size_t columns,
                          const size_t vectors, float *state, vf *answer) {
    const size_t chains = vectors == 1 ? 4 : vectors == 2 ? 2 : 1;
    vf value[SCAN_VECTORS], sum[4][SCAN_VECTORS];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
        value[v] = columns_load(step->v + v * VL, columns - v * VL);
#pragma clang loop unroll(full)
        for (size_t c = 0; c < chains; c++) sum[c][v] = v_zero();
    }
    for (size_t i = 0; i < features; i += chains) {
#pragma clang loop unroll(full)
        for (size_t c = 0; c < chains; c++) {
            if (c > 0 && i + c >= features) break;
            const vf decay = v_set(step->decay[(i + c) * step->decay_step]);
            const vf key = v_set(step->k[i + c]), query = v_set(step->q[i + c]);
            float *const row = state + (i + c) * vectors * VL;
#pragma clang loop unroll(full)
            for (size_t v = 0; v < vectors; v++) {
                const vf before = v_mul(decay, v_load(row + v * VL)), after = v_fma(key, value[v], before);
                sum[c][v] = v_fma(query, own_included ? after : before, sum[c][v]);
                v_store(row + v * VL, after);
            }
        }
    }
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
        answer[v] = sum[0][v];
#pragma clang loop unroll(full)
        for (size_t c = 1; c < chains; c++) answer[v] = v_add(answer[v], sum[c][v]);
    }
}

/* `own_included`: the answer counts the token's own key */
CK_INLINE void visit_with(const scan_step *step, const int own_included, size_t features, size_t columns, float *state,
                          vf *answer) {
    switch ((columns + VL - 1) / VL) {
    case 1: visit_rows(step, own_included, features, columns, 1, state, answer); break;
    case 2: visit_rows(step, own_included, features, columns, 2, state, answer); break;
    case 3: visit_rows(step, own_included, features, columns, 3, state, answer); break;
    default: visit_rows(step, own_included, features, columns, 4, state, answer); break;
    }
}
static void visit_after(const scan_step *step, size_t features, size_t columns, float *state, vf *answer) {
    visit_with(step, 1, features, columns, state, answer);
}
static void visit_before(const scan_step *step, size_t features, size_t columns, float *state, vf *answer) {
    visit_with(step, 0, features, columns, state, answer);
}

/* sum = decay * sum + k; returns q * sum, before or after the token's own key */
static float visit_sum(const scan_step *step, int own_included, size_t features, float *key_sum) {
    vf total = v_zero();
    const vf decay = v_set(*step->decay);
    for (size_t i = 0; i < features; i += VL) {
        const size_t n = features - i;
        const vf before = v_mul(decay, v_load(key_sum + i)), after = v_add(before, columns_load(step->k + i, n));
        total = v_fma(columns_load(step->q + i, n), own_included ? after : before, total);
        v_store(key_sum + i, after);
    }
    return v_sum(total);
}

typedef struct {
    const ck_bidirectional_scan_args *args;
    float *workers;
} bidirectional_job;

/* Along a path in one direction: adds to the numerators in `out` and to the divisors, or starts them. */
static void scan_path(const ck_bidirectional_scan_args *args, const ck_scan_path *path, size_t head, size_t first,
                      size_t columns, int backward, int starts, float *state, float *key_sum, float *divisor) {
    const size_t features = args->features, tokens = args->tokens;
    const float none = 0;
    scan_step step = {.decay = &none};
    memset(state, 0, features * ((columns + VL - 1) / VL) * VL * sizeof *state);
    memset(key_sum, 0, ck_scan_width(features) * sizeof *key_sum);
    for (size_t position = 0; position < tokens; position++) {
        const size_t n = ck_scan_token(path, backward ? tokens - 1 - position : position);
        step.q = args->q + ck_head_offset(args->q_strides, args->heads, head, n);
        step.k = args->k + ck_head_offset(args->k_strides, args->heads, head, n);
        step.v = args->v + ck_head_offset(args->v_strides, args->heads, head, n) + first;
        float *const out = args->out + ck_head_offset(args->out_strides, args->heads, head, n) + first;
        vf answer[SCAN_VECTORS];
        (backward ? visit_before : visit_after)(&step, features, columns, state, answer);
        for (size_t c = 0, v = 0; c < columns; c += VL, v++) {
            const vf sum = starts ? answer[v] : v_add(columns_load(out + c, columns - c), answer[v]);
            columns_store(out + c, sum, columns - c);
        }
        const float sum = visit_sum(&step, !backward, features, key_sum);
        divisor[n] = starts ? sum : divisor[n] + sum;
        step.decay = path->decay + ck_head_offset(path->decay_strides, args->heads, head, n);
    }
}

/* Task: some columns of one head. */
static void scan_both_ways(void *arguments, size_t task, size_t worker) {
    const bidirectional_job *const job = arguments;
    const ck_bidirectional_scan_args *const args = job->args;
    const size_t blocks = column_blocks(args->value_dim), head = task / blocks, first = task % blocks * SCAN_COLUMNS;
    const size_t columns = args->value_dim - first < SCAN_COLUMNS ? args->value_dim - first : SCAN_COLUMNS;
    float *const divisor = job->workers + worker * ck_scan_worker(args->features, args->value_dim, args->tokens);
    float *const key_sum = divisor + ck_scan_width(args->tokens);
    float *const state = key_sum + ck_scan_width(args->features);
    for (size_t p = 0; p < args->paths; p++) {
        scan_path(args, &args->path[p], head, first, columns, 0, p == 0, state, key_sum, divisor);
        scan_path(args, &args->path[p], head, first, columns, 1, 0, state, key_sum, divisor);
    }
    for (size_t n = 0; n < args->tokens; n++) {
        float *const out = args->out + ck_head_offset(args->out_strides, args->heads, head, n) + first;
        const vf scale = v_set(1 / (divisor[n] + args->epsilon));
        for (size_t c = 0; c < columns; c += VL)
            columns_store(out + c, v_mul(columns_load(out + c, columns - c), scale), columns - c);
    }
}

void CK_NAME(ck_bidirectional_scan_f32)(ck_pool *pool, const ck_bidirectional_scan_args *args, float *scratch) {
    bidirectional_job job = {args, scratch};
    ck_pool_run(pool, args->batch * args->heads * column_blocks(args->value_dim), scan_both_ways, &job);
}

typedef struct {
    const ck_causal_scan_args *args;
    float *workers;
} causal_job;

/* The 16th root of sigmoid(x). Far down sigmoid is exp, and exp(x / 16) still far from the smallest numbers. */
CK_INLINE vf gate_decay(vf x) {
    const vf sigmoid = v_div(v_set(1), v_add(v_set(1), v_exp(v_sub(v_zero(), x))));
    const vf root = v_sqrt(v_sqrt(v_sqrt(v_sqrt(sigmoid))));
    return v_select_gt(v_set(-20), x, v_exp(v_mul(x, v_set(0.0625f))), root);
}

/*
 * The running softmax without logarithms: keys exp(k - highest so far) decay when the highest grows, and queries are
 * divided by the running sum of such keys.
 */
CK_INLINE void soften(const float *q, const float *k, size_t i, size_t n, float *highest, float *sum, float *query,
                      float *key, float *decay) {
    const vf x = columns_load(k + i, n), before = v_load(highest + i), now = v_max(before, x);
    const vf less = v_exp_nonpositive(v_sub(before, now)), own = v_exp_nonpositive(v_sub(x, now));
    const vf total = v_fma(v_load(sum + i), less, own);
    v_store(highest + i, now);
    v_store(sum + i, total);
    v_store(decay + i, less);
    v_store(key + i, own);
    v_store(query + i, v_div(v_silu(columns_load(q + i, n)), total));
}

/* Task: some columns of one head. */
static void scan_forward(void *arguments, size_t task, size_t worker) {
    const causal_job *const job = arguments;
    const ck_causal_scan_args *const args = job->args;
    const size_t features = args->features, width = ck_scan_width(features);
    const size_t blocks = column_blocks(args->value_dim), head = task / blocks, first = task % blocks * SCAN_COLUMNS;
    const size_t columns = args->value_dim - first < SCAN_COLUMNS ? args->value_dim - first : SCAN_COLUMNS;
    float *const decay = job->workers + worker * ck_scan_worker(features, args->value_dim, args->tokens);
    float *const highest = decay + width, *const sum = highest + width, *const query = sum + width;
    float *const key = query + width, *const state = key + width;
    memset(state, 0, features * ((columns + VL - 1) / VL) * VL * sizeof *state);
    for (size_t i = 0; i < width; i++) highest[i] = -INFINITY, sum[i] = 0;
    for (size_t t = 0; t < args->tokens; t++) {
        const float *const q = args->q + ck_head_offset(args->q_strides, args->heads, head, t);
        const float *const k = args->k + ck_head_offset(args->k_strides, args->heads, head, t);
        const float *const v = args->v + ck_head_offset(args->v_strides, args->heads, head, t) + first;
        scan_step step = {.q = q, .k = k, .decay = decay, .decay_step = 1, .v = v};
        if (args->kind == CK_SCAN_GATED) {
            const float *const gate = args->gate + ck_head_offset(args->gate_strides, args->heads, head, t);
            for (size_t i = 0; i < features; i += VL)
                v_store(decay + i, gate_decay(columns_load(gate + i, features - i)));
        } else {
            for (size_t i = 0; i < features; i += VL)
                soften(q, k, i, features - i, highest, sum, query, key, decay);
            step.q = query;
            step.k = key;
        }
        vf answer[SCAN_VECTORS];
        visit_after(&step, features, columns, state, answer);
        float *const out = args->out + ck_head_offset(args->out_strides, args->heads, head, t) + first;
        for (size_t c = 0, i = 0; c < columns; c += VL, i++)
            columns_store(out + c, v_mul(answer[i], v_set(args->scale)), columns - c);
    }
}

void CK_NAME(ck_causal_scan_f32)(ck_pool *pool, const ck_causal_scan_args *args, float *scratch) {
    causal_job job = {args, scratch};
    ck_pool_run(pool, args->batch * args->heads * column_blocks(args->value_dim), scan_forward, &job);
}

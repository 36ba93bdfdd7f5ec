/* The specification of softmax attention: one query at a time, everything in double, one group per task. */
#include "attention/attention_ref.h"
#include "softmax/softmax.h"

typedef struct {
    const ck_attention_args *args;
    double *scratch;
} job;

/* Place of a window's token on one axis of the rolled and padded map. */
static size_t place_of(size_t window, size_t windows, size_t size, size_t token) {
    return window % windows * size + token % size;
}

/* Band of a place on one axis, as the published code labels the rolled and padded map. */
static int band_of(size_t place, size_t size, size_t window, size_t shift) {
    const size_t padded = ck_ceil_div(size, window) * window;
    return shift == 0 ? 0 : (place >= padded - window) + (place >= padded - shift);
}

/* A token of a group. */
typedef struct {
    size_t row; /* in its image */
    int inside, region;
} place;

static place place_in(const ck_windows *w, size_t window, size_t token) {
    if (w == NULL) return (place){token, 1, 0};
    const size_t down = ck_ceil_div(w->height, w->window_height), across = ck_ceil_div(w->width, w->window_width);
    const size_t y = place_of(window / across, down, w->window_height, token / w->window_width);
    const size_t x = place_of(window, across, w->window_width, token);
    return (place){.row = (y + w->shift_y) % w->height * w->width + (x + w->shift_x) % w->width,
                   .inside = y < w->height && x < w->width,
                   .region = 3 * band_of(y, w->height, w->window_height, w->shift_y) +
                             band_of(x, w->width, w->window_width, w->shift_x)};
}

static void attend(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_attention_args *const args = own->args;
    const ck_windows *const windows = args->windows;
    const size_t tokens = args->tokens, keys = args->key_tokens, d = args->head_dim;
    const size_t count = ck_window_count(windows), head = task % args->heads, column = head * d;
    const size_t window = task / args->heads % count, image = task / args->heads / count;
    const size_t query_row = image * (windows ? windows->height * windows->width : tokens);
    const size_t key_row = image * (windows ? windows->height * windows->width : keys);

    double *const k = own->scratch + worker * ck_softmax_ref_doubles(args), *const v = k + keys * d;
    double *const score = v + keys * d, *const plain = score + keys, *const q = plain + d;
    for (size_t m = 0; m < keys; m++) {
        const place at = place_in(windows, window, m);
        const float *key = args->k + (key_row + at.row) * args->k_stride + column;
        const float *value = args->v + (key_row + at.row) * args->v_stride + column;
        if (!at.inside) key = windows->outside_key ? windows->outside_key + column : NULL;
        if (!at.inside) value = windows->outside_value ? windows->outside_value + column : NULL;
        for (size_t t = 0; t < d; t++) plain[t] = key ? key[t] : 0;
        for (size_t t = 0; t < d; t++) v[m * d + t] = value ? value[t] : 0;
        ck_ref_rotate(args->rope, d, m, plain, k + m * d);
    }
    for (size_t n = 0; n < tokens; n++) {
        const place at = place_in(windows, window, n);
        if (!at.inside) continue;
        for (size_t t = 0; t < d; t++) plain[t] = args->q[(query_row + at.row) * args->q_stride + column + t];
        ck_ref_rotate(args->rope, d, n, plain, q);
        double highest = -INFINITY, sum = 0;
        for (size_t m = 0; m < keys; m++) {
            score[m] = ck_ref_dot(q, k + m * d, d) / sqrt((double)d);
            if (args->bias) score[m] += args->bias[(head * keys + m) * args->bias_stride + n];
            if (windows && place_in(windows, window, m).region != at.region) score[m] += windows->separation;
            highest = fmax(highest, score[m]);
        }
        for (size_t m = 0; m < keys; m++) {
            score[m] = exp(score[m] - highest);
            sum += score[m];
        }
        for (size_t t = 0; t < d; t++) {
            double core = 0;
            for (size_t m = 0; m < keys; m++) core += score[m] / sum * v[m * d + t];
            ck_ref_finish_at(args, query_row + at.row, column + t, core);
        }
    }
}

void ck_softmax_attention_f32_ref(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    job own = {args, (double *)scratch};
    ck_pool_run(pool, args->batch * ck_window_count(args->windows) * args->heads, attend, &own);
}

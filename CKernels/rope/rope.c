#include "ck_rope.h"

#include <math.h>

size_t ck_rope_count(size_t height, size_t width, size_t head_dim) { return (height + width) * head_dim; }

/*
 * Frequency i of `count`: 10000^(-i / (count - 1)), in float32 and with the roundings of the published models' tables:
 * the exponents are evenly spaced numbers counted from both ends.
 */
static float frequency(size_t i, size_t count) {
    if (count == 1) return 1;
    const float step = 1 / (float)(count - 1);
    const float exponent = i < count / 2 ? step * (float)i : fmaf(-step, (float)(count - 1 - i), 1);
    return 1 / (float)pow(10000, exponent);
}

/* cosine and sine are [positions][2 * count] */
static void fill_axis(size_t positions, size_t count, float *cosine, float *sine) {
    for (size_t i = 0; i < count; i++) {
        const float turn = frequency(i, count);
        for (size_t p = 0; p < positions; p++) {
            const float angle = (float)p * turn;
            const size_t at = 2 * (p * count + i);
            cosine[at] = cosine[at + 1] = (float)cos(angle);
            sine[at + 1] = (float)sin(angle);
            sine[at] = -sine[at + 1];
        }
    }
}

ck_status ck_rope_fill(size_t height, size_t width, size_t head_dim, float *tables, ck_rope *rope) {
    if (height == 0 || width == 0 || head_dim == 0 || head_dim % 4 != 0) return CK_BAD_SHAPE;
    if (tables == NULL || rope == NULL) return CK_BAD_ARGUMENT;
    const size_t half = head_dim / 2;
    float *const row_sine = tables + height * half, *const column = row_sine + height * half;
    *rope = (ck_rope){height, width, head_dim, tables, row_sine, column, column + width * half};
    fill_axis(height, head_dim / 4, tables, row_sine);
    fill_axis(width, head_dim / 4, column, column + width * half);
    return CK_OK;
}

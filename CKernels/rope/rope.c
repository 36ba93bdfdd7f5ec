#include "ck_rope.h"

#include <math.h>

size_t ck_rope_count(size_t height, size_t width, size_t head_dim) { return (height + width) * head_dim; }

/* cosine and sine are [positions][2 * frequencies] */
static void fill_axis(size_t positions, size_t frequencies, float *cosine, float *sine) {
    for (size_t p = 0; p < positions; p++) {
        for (size_t i = 0; i < frequencies; i++) {
            const float fraction = frequencies > 1 ? (float)i / (float)(frequencies - 1) : 0;
            const float angle = (float)p * (1 / powf(10000, fraction));
            const float c = (float)cos(angle), s = (float)sin(angle);
            *cosine++ = c;
            *cosine++ = c;
            *sine++ = -s;
            *sine++ = s;
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

/*
 * Fetching rows into the second-level cache while a product runs. The rows of a head lie far apart in a packed projection,
 * where the hardware does not foresee them, and a product leaves the memory idle: each of its steps asks for one line.
 */

/* Rows of one head somewhere in memory. */
typedef struct {
    const float *x;
    size_t stride;
} row_source;

enum { UPCOMING_SOURCES = 4 };

/* Parts of rows that are needed next. Addresses past the end of an array are harmless, they are never read. */
typedef struct {
    row_source source[UPCOMING_SOURCES]; /* x is NULL for none */
    size_t rows, columns;                /* of each */
} upcoming_rows;

typedef struct {
    const upcoming_rows *upcoming;
    const float *line; /* to be fetched next */
    size_t stride, rows_left, lines_left, source;
} fetch_cursor;

CK_INLINE void next_source(fetch_cursor *f) {
    while (f->upcoming && f->source < UPCOMING_SOURCES) {
        const row_source from = f->upcoming->source[f->source++];
        if (from.x == NULL || f->upcoming->rows == 0) continue;
        const size_t before = (uintptr_t)from.x / sizeof(float) % 16; /* floats of the line in front of x */
        f->line = from.x - before;
        f->stride = from.stride;
        f->rows_left = f->upcoming->rows;
        f->lines_left = ck_ceil_div(before + f->upcoming->columns, 16);
        return;
    }
    f->stride = 0;
    f->rows_left = SIZE_MAX;
}

/* Where to begin; `idle` is an address in the cache, asked for when nothing is left to fetch. */
CK_INLINE fetch_cursor first_line(const upcoming_rows *upcoming, const float *idle) {
    fetch_cursor f = {.upcoming = upcoming, .line = idle};
    next_source(&f);
    return f;
}

/* The strip of lines below each other is finished: on to the next one. */
CK_INLINE void next_strip(fetch_cursor *f) {
    if (--f->lines_left > 0) {
        f->rows_left = f->upcoming->rows;
        f->line -= f->stride * f->rows_left - 16;
    } else {
        next_source(f);
    }
}

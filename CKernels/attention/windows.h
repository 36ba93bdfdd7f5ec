#ifndef CK_WINDOWS_H
#define CK_WINDOWS_H

#include "ck_attention.h"

/*
 * Where the tokens of a window lie: partition, cyclic shift, padding and their inverses as index arithmetic. The rolled
 * map has grid row (Y + shift_y) mod height at row Y, columns likewise; windows are cut from it row by row, and what they
 * have below or to the right of it lies outside.
 */

/* Where a window begins on the rolled and padded map, and where a walk over its tokens has come to. */
typedef struct {
    size_t row, left; /* of the map */
    size_t x;         /* of the window */
} ck_window_walk;

/* A walk over window `window` from `token` on. */
static inline ck_window_walk ck_window_walk_from(const ck_windows *windows, size_t window, size_t token) {
    if (windows == NULL) return (ck_window_walk){.x = token};
    const size_t across = (windows->width - 1) / windows->window_width + 1;
    return (ck_window_walk){.row = window / across * windows->window_height + token / windows->window_width,
                            .left = window % across * windows->window_width,
                            .x = token % windows->window_width};
}

/* Tokens that follow each other in memory, or that all lie outside the grid. */
typedef struct {
    size_t row; /* of the first one, counted from the image's first token */
    size_t count;
    int outside;
} ck_run;

/* The longest run from here on, at most `most` (> 0) tokens; without windows it is all of them. */
static inline ck_run ck_next_run(const ck_windows *windows, ck_window_walk *walk, size_t most) {
    if (windows == NULL) {
        walk->x += most;
        return (ck_run){walk->x - most, most, 0};
    }
    const size_t column = walk->left + walk->x, left = windows->window_width - walk->x;
    ck_run run = {0, most < left ? most : left, walk->row >= windows->height || column >= windows->width};
    if (!run.outside) {
        size_t row = walk->row + windows->shift_y, from = column + windows->shift_x;
        if (row >= windows->height) row -= windows->height;
        if (from >= windows->width) from -= windows->width;
        if (run.count > windows->width - column) run.count = windows->width - column;
        if (run.count > windows->width - from) run.count = windows->width - from;
        run.row = row * windows->width + from;
    }
    walk->x += run.count;
    if (walk->x == windows->window_width) walk->x = 0, walk->row++;
    return run;
}

/*
 * Writes which of the four regions that the roll brought together each token of a window belongs to, as small numbers.
 * Returns whether there are several; only in the last windows of a row or column can there be.
 */
static inline int ck_window_regions(const ck_windows *windows, size_t window, float *regions) {
    const size_t across = (windows->width - 1) / windows->window_width + 1;
    const int last_row = window / across == (windows->height - 1) / windows->window_height;
    const int last_column = window % across == across - 1;
    const int several_rows = last_row && windows->shift_y > 0, several_columns = last_column && windows->shift_x > 0;
    if (!several_rows && !several_columns) return 0;
    for (size_t y = 0; y < windows->window_height; y++) {
        const int below = several_rows && y + windows->shift_y >= windows->window_height;
        for (size_t x = 0; x < windows->window_width; x++) {
            const int right = several_columns && x + windows->shift_x >= windows->window_width;
            *regions++ = (float)(2 * below + right);
        }
    }
    return 1;
}

#endif

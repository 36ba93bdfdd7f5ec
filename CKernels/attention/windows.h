#ifndef CK_WINDOWS_H
#define CK_WINDOWS_H

#include "ck_attention.h"

/*
 * Where the tokens of a window lie: partition, cyclic shift, padding and their inverses as index arithmetic. The rolled
 * map has grid row (Y + shift_y) mod height at row Y, columns likewise; windows are cut from it row by row, and what they
 * have below or to the right of it lies outside.
 */

/* Tokens that follow each other in memory, or that all lie outside the grid. */
typedef struct {
    size_t row; /* of the first one, counted from the image's first token */
    size_t count;
    int outside;
} ck_run;

/* The longest run from `token` of a window on, at most `most` (> 0) tokens; without windows it is all of them. */
static inline ck_run ck_run_at(const ck_windows *windows, size_t window, size_t token, size_t most) {
    if (windows == NULL) return (ck_run){token, most, 0};
    const size_t across = (windows->width - 1) / windows->window_width + 1, x = token % windows->window_width;
    const size_t row = window / across * windows->window_height + token / windows->window_width;
    const size_t column = window % across * windows->window_width + x;
    size_t count = windows->window_width - x;
    if (count > most) count = most;
    if (row >= windows->height || column >= windows->width) return (ck_run){0, count, 1};
    if (count > windows->width - column) count = windows->width - column;
    size_t from_row = row + windows->shift_y, from_column = column + windows->shift_x;
    if (from_row >= windows->height) from_row -= windows->height;
    if (from_column >= windows->width) from_column -= windows->width;
    if (count > windows->width - from_column) count = windows->width - from_column;
    return (ck_run){from_row * windows->width + from_column, count, 0};
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

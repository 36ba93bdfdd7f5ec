#ifndef CK_HEADS_H
#define CK_HEADS_H

#include <stddef.h>

/**
 * Where the rows of heads lie: channel c of token n of head h of batch element b is element
 * `b * batch + h * head + n * row + c`. Serves a packed projection [batch][tokens][heads * dim] as well as heads that
 * lie one behind the other, [batch][heads][tokens][dim]; a head stride of 0 gives all heads the same rows.
 */
typedef struct {
    size_t batch, head, row; /**< in floats */
} ck_head_strides;

#endif

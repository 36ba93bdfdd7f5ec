#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H
#include <stddef.h>

/**
 * Counts the heap allocations of the calling thread between the two calls. The test binary's own malloc stands before
 * the C library's, so everything is seen: Swift objects, arrays, closures, libraries.
 */
void zoo_test_start_counting(void);
size_t zoo_test_stop_counting(void);

#endif

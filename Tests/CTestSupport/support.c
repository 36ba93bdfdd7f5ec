#include "CTestSupport.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__linux__) && defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define COUNTS 1
#endif

static _Thread_local int counting;
static _Thread_local size_t allocations;

void zoo_test_start_counting(void) {
    allocations = 0;
    counting = 1;
}

size_t zoo_test_stop_counting(void) {
    counting = 0;
    return allocations;
}

#if COUNTS
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
    allocations += counting;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations += counting;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations += counting;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    allocations += counting;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    allocations += counting;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}
#endif

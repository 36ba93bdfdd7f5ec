#define _GNU_SOURCE /* syscall */
#include "ck_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/*
 * A fork-join pool. `epoch` counts the runs; between runs a worker spins for a few microseconds (most kernels follow
 * each other closely), then parks on the epoch. `gate` says who is inside the current run: the caller opens it, late
 * workers find it closed and stay out, so a run never waits for a worker that the system has not woken yet.
 *
 * Every worker has a run of neighbouring tasks for itself, which it takes from the front: they read neighbouring weights,
 * and rows that the same worker wrote a kernel ago. Whoever is done helps the others from the back of theirs.
 */
enum { SPINS = 4000 };
#define CLOSED 0x80000000u

/* The tasks that are left of a worker's: the first in the lower half, the end in the upper. */
typedef struct {
    _Alignas(64) _Atomic uint64_t range;
} share;

struct ck_pool {
    size_t threads;
    pthread_t *handles;
    _Alignas(64) _Atomic uint32_t epoch;
    _Atomic uint32_t parked;
    _Atomic uint32_t stopping;
    _Alignas(64) _Atomic uint32_t gate; /* CLOSED bit + workers inside */
    size_t offset;                      /* added to the tasks in the shares */
    ck_task function;
    void *arguments;
    share shares[];
};

typedef struct {
    ck_pool *pool;
    size_t worker;
} seat;

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void nap(void) {
    const struct timespec pause = {0, 20000};
    nanosleep(&pause, NULL);
}

static void park(_Atomic uint32_t *word, uint32_t seen) {
#if defined(__linux__)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    if (atomic_load(word) == seen) nap();
#endif
}

static void wake_all(_Atomic uint32_t *word) {
#if defined(__linux__)
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    (void)word;
#endif
}

#define ONE_BEHIND ((uint64_t)1 << 32)

/* Takes the first or the last task of a share; false when there is none. */
static int take(share *from, int last, uint32_t *task) {
    uint64_t range = atomic_load_explicit(&from->range, memory_order_relaxed);
    uint32_t first, end;
    do {
        first = (uint32_t)range;
        end = (uint32_t)(range >> 32);
        if (first >= end) return 0;
    } while (!atomic_compare_exchange_weak_explicit(&from->range, &range, last ? range - ONE_BEHIND : range + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    *task = last ? end - 1 : first;
    return 1;
}

static void take_tasks(ck_pool *pool, size_t worker) {
    for (size_t turn = 0; turn < pool->threads; turn++) {
        share *const from = &pool->shares[(worker + turn) % pool->threads];
        for (uint32_t task; take(from, turn > 0, &task);)
            pool->function(pool->arguments, pool->offset + task, worker);
    }
}

/* Enters the run in progress; false when it has been closed meanwhile. */
static int enter(ck_pool *pool) {
    uint32_t inside = atomic_load_explicit(&pool->gate, memory_order_acquire);
    while (!(inside & CLOSED))
        if (atomic_compare_exchange_weak_explicit(&pool->gate, &inside, inside + 1, memory_order_acquire,
                                                  memory_order_acquire))
            return 1;
    return 0;
}

static void *work(void *argument) {
    const seat own = *(seat *)argument;
    free(argument);
    ck_pool *pool = own.pool;
    uint32_t seen = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load_explicit(&pool->epoch, memory_order_acquire) == seen; spin++)
            relax();
        while (atomic_load_explicit(&pool->epoch, memory_order_acquire) == seen) {
            atomic_fetch_add(&pool->parked, 1);
            if (atomic_load(&pool->epoch) == seen) park(&pool->epoch, seen);
            atomic_fetch_sub(&pool->parked, 1);
        }
        seen = atomic_load_explicit(&pool->epoch, memory_order_acquire);
        if (atomic_load_explicit(&pool->stopping, memory_order_acquire)) return NULL;
        if (enter(pool)) {
            take_tasks(pool, own.worker);
            atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_release);
        }
    }
}

/* Publishes a new epoch: what was written before is visible to the workers that see it. */
static void start_epoch(ck_pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->parked) > 0) wake_all(&pool->epoch);
}

ck_status ck_pool_create(size_t threads, ck_pool **result) {
    if (result == NULL || threads == 0 || threads > 1024) return CK_BAD_ARGUMENT;
    *result = NULL;
    ck_pool *pool = aligned_alloc(64, sizeof(ck_pool) + threads * sizeof(share));
    if (pool == NULL) return CK_NO_MEMORY;
    *pool = (ck_pool){.threads = 1};
    memset(pool->shares, 0, threads * sizeof(share));
    atomic_store(&pool->gate, CLOSED);
    pool->handles = calloc(threads, sizeof *pool->handles);
    if (pool->handles == NULL) {
        free(pool);
        return CK_NO_MEMORY;
    }
    for (size_t worker = 1; worker < threads; worker++) {
        seat *own = malloc(sizeof *own);
        if (own) *own = (seat){pool, worker};
        if (own == NULL || pthread_create(&pool->handles[worker], NULL, work, own) != 0) {
            free(own);
            ck_pool_destroy(pool);
            return CK_NO_MEMORY;
        }
        pool->threads = worker + 1;
    }
    *result = pool;
    return CK_OK;
}

void ck_pool_destroy(ck_pool *pool) {
    if (pool == NULL) return;
    atomic_store_explicit(&pool->stopping, 1, memory_order_release);
    start_epoch(pool);
    for (size_t worker = 1; worker < pool->threads; worker++) pthread_join(pool->handles[worker], NULL);
    free(pool->handles);
    free(pool);
}

size_t ck_pool_threads(const ck_pool *pool) { return pool ? pool->threads : 1; }

/* Runs up to UINT32_MAX tasks on several threads. */
static void run(ck_pool *pool, size_t offset, size_t tasks) {
    pool->offset = offset;
    for (size_t worker = 0; worker < pool->threads; worker++) {
        const uint64_t first = tasks * worker / pool->threads, end = tasks * (worker + 1) / pool->threads;
        atomic_store_explicit(&pool->shares[worker].range, end << 32 | first, memory_order_relaxed);
    }
    atomic_store_explicit(&pool->gate, 0, memory_order_release);
    start_epoch(pool);
    take_tasks(pool, 0);
    atomic_fetch_or(&pool->gate, CLOSED);
    for (int spin = 0; atomic_load_explicit(&pool->gate, memory_order_acquire) != CLOSED; spin++) {
        relax();
        if (spin >= SPINS) nap();
    }
}

void ck_pool_run(ck_pool *pool, size_t tasks, ck_task function, void *arguments) {
    if (pool == NULL || pool->threads == 1 || tasks <= 1) {
        for (size_t task = 0; task < tasks; task++) function(arguments, task, 0);
        return;
    }
    pool->function = function;
    pool->arguments = arguments;
    for (size_t task = 0; task < tasks; task += UINT32_MAX)
        run(pool, task, tasks - task < UINT32_MAX ? tasks - task : UINT32_MAX);
}

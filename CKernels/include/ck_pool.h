#ifndef CK_POOL_H
#define CK_POOL_H

#include "ck_cpu.h"
#include "ck_status.h"

/** A fixed set of threads that run the tasks of one kernel at a time. */
typedef struct ck_pool ck_pool;

/**
 * Starts a pool of `threads` workers, the calling thread included (so `threads - 1` are created).
 *
 * @return CK_BAD_ARGUMENT when `threads` is 0 or above 1024, CK_NO_MEMORY when a thread can't be started.
 */
ck_status ck_pool_create(size_t threads, ck_pool **pool);

/** Stops and joins the workers. NULL is allowed. */
void ck_pool_destroy(ck_pool *pool);

/** The number of workers, the calling thread included; 1 for NULL. */
size_t ck_pool_threads(const ck_pool *pool);

/** One task: `task` in 0..<tasks, `worker` in 0..<ck_pool_threads (for per-worker scratch). */
typedef void (*ck_task)(void *arguments, size_t task, size_t worker);

/**
 * Runs every task exactly once and returns when all are done. A worker takes its own share of neighbouring tasks in order,
 * then others' tasks: what a task computes must not depend on which worker runs it. Only one thread may call this on a
 * pool at a time; NULL runs on the caller.
 */
void ck_pool_run(ck_pool *pool, size_t tasks, ck_task function, void *arguments);

/**
 * What every kernel entry takes first: the instruction set to use and the threads to use it on.
 *
 * Kernels split their work into tasks whose borders depend on the sizes alone, and sum in an order fixed by the sizes
 * alone: results are bitwise equal for any number of threads, any batch size and any position in the batch.
 */
typedef struct {
    ck_isa isa;
    ck_pool *pool; /**< NULL: the calling thread does all the work */
} ck_context;

#endif

import CKernels
import Testing

/// Every kernel relies on the pool for running its tasks, each once.
@Suite struct PoolTests {
    /// How often each task ran, and by whom. Tasks write to places of their own.
    private final class Log {
        let runs: UnsafeMutablePointer<Int32>
        let workers: UnsafeMutablePointer<Int>
        let count: Int

        init(tasks: Int) {
            count = tasks
            runs = .allocate(capacity: max(tasks, 1))
            runs.initialize(repeating: 0, count: tasks)
            workers = .allocate(capacity: max(tasks, 1))
            workers.initialize(repeating: -1, count: tasks)
        }

        deinit {
            runs.deallocate()
            workers.deallocate()
        }

        /// Some tasks take far longer than others, so that workers help each other.
        func run(on pool: OpaquePointer?) {
            ck_pool_run(
                pool, count,
                { arguments, task, worker in
                    let log = Unmanaged<Log>.fromOpaque(arguments!).takeUnretainedValue()
                    var value = task
                    for _ in 0..<(task < log.count / 8 ? 2000 : 1) { value = value &* 31 &+ 7 }
                    log.runs[task] += value == Int.min ? 2 : 1
                    log.workers[task] = worker
                }, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    @Test(arguments: [1, 2, 3, 8], [0, 1, 2, 3, 7, 64, 1000])
    func everyTaskRunsOnce(threads: Int, tasks: Int) {
        var pool: OpaquePointer?
        #expect(ck_pool_create(threads, &pool) == CK_OK)
        defer { ck_pool_destroy(pool) }
        for _ in 0..<200 {
            let log = Log(tasks: tasks)
            log.run(on: pool)
            #expect((0..<tasks).allSatisfy { log.runs[$0] == 1 && (0..<threads).contains(log.workers[$0]) })
        }
    }

    @Test func theCallerRunsTasksWithoutAPool() {
        let log = Log(tasks: 5)
        log.run(on: nil)
        #expect((0..<5).allSatisfy { log.runs[$0] == 1 && log.workers[$0] == 0 })
    }

    @Test(arguments: [0, 1025]) func rejectsThreadCounts(_ threads: Int) {
        var pool: OpaquePointer?
        #expect(ck_pool_create(threads, &pool) == CK_BAD_ARGUMENT)
        #expect(pool == nil)
    }
}

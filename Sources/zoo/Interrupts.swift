import Dispatch
import Foundation
import Synchronization
import ZooCore
import ZooIO

/// Ctrl-C, termination and the loss of the terminal. A signal ends the program at once, without half-written files; for
/// a command that has asked for them, the first one is the request to end after what it is doing. A child process that
/// is running gets every signal too.
final class Interrupts: Sendable {
    /// Of the command that asked last.
    private static let listener = Mutex<Interrupts?>(nil)
    /// Written by `watch` alone.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    private let requested = Atomic(false)
    private let child = Atomic<pid_t>(0)

    init() { Self.listener.withLock { $0 = self } }

    /// Watches for signals from now on: to be called once, before a file is written.
    static func watch() {
        sources = [SIGINT, SIGTERM, SIGHUP].compactMap { number in
            let earlier: sighandler_t? = signal(number, SIG_IGN)
            // What nohup started outlives its terminal.
            if number == SIGHUP, unsafeBitCast(earlier, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
                return nil
            }
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                let isRequest = listener.withLock { $0?.request() ?? false }
                if !isRequest { AtomicFile.abandonAll(exitCode: ZooError.Kind.interrupted.rawValue) }
            }
            source.resume()
            return source
        }
    }

    /// Passes a signal on; returns whether it is the first.
    private func request() -> Bool {
        let process = child.load(ordering: .sequentiallyConsistent)
        if process > 0 { kill(process, SIGINT) }
        return !requested.exchange(true, ordering: .sequentiallyConsistent)
    }

    /// Whether a signal has come.
    var isRequested: Bool { requested.load(ordering: .sequentiallyConsistent) }

    /// Passes signals on to `process` from now on, one that has come already included.
    func pass(to process: pid_t) {
        child.store(process, ordering: .sequentiallyConsistent)
        if isRequested { kill(process, SIGINT) }
    }

    /// Ends passing signals on; to be called before the process is waited for, as its number may be given away then.
    func passNoLonger() { child.store(0, ordering: .sequentiallyConsistent) }
}

import Dispatch
import Foundation
import Synchronization
import ZooCore

/// Ctrl-C and termination: the first signal asks the command to end after what it is doing, the second ends it at once.
/// A child process that is running gets every signal too.
///
/// Sendable because nothing but the atomics changes after `init`.
final class Interrupts: @unchecked Sendable {
    private let requested = Atomic(false)
    private let child = Atomic<pid_t>(0)
    private let sources: [any DispatchSourceSignal]

    init() {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for source in sources {
            source.setEventHandler { [self] in
                let process = child.load(ordering: .sequentiallyConsistent)
                if process > 0 { kill(process, SIGINT) }
                let isSecond = requested.exchange(true, ordering: .sequentiallyConsistent)
                if isSecond { _exit(ZooError.Kind.interrupted.rawValue) }
            }
            source.resume()
        }
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

import Dispatch
import Foundation
import Synchronization
import ZooCore

/// Ctrl-C and termination: the first signal asks the command to end after what it is doing, the second ends it at once.
///
/// Sendable because nothing but the atomic flag changes after `init`.
final class Interrupts: @unchecked Sendable {
    private let requested = Atomic(false)
    private let sources: [any DispatchSourceSignal]

    init() {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for source in sources {
            source.setEventHandler { [self] in
                if requested.exchange(true, ordering: .relaxed) { _exit(ZooError.Kind.interrupted.rawValue) }
            }
            source.resume()
        }
    }

    /// Whether a signal has come.
    var isRequested: Bool { requested.load(ordering: .relaxed) }
}

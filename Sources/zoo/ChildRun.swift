import Foundation
import ZooCore

/// Runs this program with other arguments in a process of its own, so that a crash stays there.
enum ChildRun {
    /// How a process ended.
    enum Ending: Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    /// Runs `zoo ARGUMENTS` to its end. Its results on standard output are dropped.
    ///
    /// The child has a process group of its own: a Ctrl-C at the terminal reaches it once, through `interrupts`.
    ///
    /// - Parameter onErrorLine: gets each line that it writes to standard error, without the line feed.
    /// - Throws: `ZooError` if no process can be started.
    static func run(
        _ arguments: [String], interrupts: Interrupts, onErrorLine: (String) -> Void
    ) throws(ZooError) -> Ending {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw failure(errno) }
        // The child has the writing end as its standard error only, so that its end closes the pipe.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let process: pid_t
        do throws(ZooError) {
            process = try spawn(arguments, errors: ends[1])
        } catch {
            close(ends[1])
            throw error
        }
        close(ends[1])
        interrupts.pass(to: process)
        readLines(from: ends[0], onErrorLine)
        // The process has closed its standard error or is gone; either way its end is near.
        var information = siginfo_t()
        while waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        interrupts.passNoLonger()
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { throw failure(errno) }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exit(status >> 8 & 0xFF) : .signal(signal)
    }

    private static func spawn(_ arguments: [String], errors: Int32) throws(ZooError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Signals that this process ignores or blocks would stay so in the child.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for signal in [SIGINT, SIGTERM, SIGPIPE] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        var words = cStrings(["zoo"] + arguments)
        var environment = cStrings(ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" })
        defer { for word in words + environment { free(word) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, executable, &actions, &attributes, &words, &environment)
        guard code == 0 else { throw failure(code) }
        return process
    }

    /// Copies that end in a null pointer, to be freed by the caller.
    private static func cStrings(_ words: [String]) -> [UnsafeMutablePointer<CChar>?] {
        words.map { strdup($0) } + [nil]
    }

    private static var executable: String {
        let link = "/proc/self/exe"
        return FileManager.default.fileExists(atPath: link) ? link : CommandLine.arguments[0]
    }

    /// Calls `body` with every line until the other end is closed.
    private static func readLines(from descriptor: Int32, _ body: (String) -> Void) {
        var rest: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            rest += buffer[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                body(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeSubrange(...end)
            }
        }
        if !rest.isEmpty { body(String(decoding: rest, as: UTF8.self)) }
    }

    private static func failure(_ code: Int32) -> ZooError {
        ZooError(.inputOutput, "cannot start a process: \(String(cString: strerror(code)))")
    }
}

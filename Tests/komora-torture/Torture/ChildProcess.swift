// A child process whose standard output is a pipe to us.

import Glibc

struct ChildProcess {
  let id: pid_t
  let output: Int32

  enum Ending: Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    var description: String {
      switch self {
      case .exited(let code): "exit \(code)"
      case .signalled(let signal): "signal \(signal)"
      }
    }
  }

  /// Starts this program again with `arguments`.
  init(_ arguments: [String]) {
    var ends: [Int32] = [0, 0]
    precondition(pipe(&ends) == 0, "cannot make a pipe")
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    let program = "/proc/self/exe"
    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    argv.append(nil)
    var child = pid_t()
    let result = posix_spawn(&child, program, &actions, nil, argv, environ)
    precondition(result == 0, "cannot start \(program): \(result)")
    for pointer in argv { free(pointer) }
    posix_spawn_file_actions_destroy(&actions)
    close(ends[1])
    id = child
    output = ends[0]
  }

  /// Everything that it writes until it ends.
  func readAll() -> [UInt8] {
    var all: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let n = read(output, &part, part.count)
      if n > 0 { all += part[..<n] } else if n == 0 || errno != EINTR { return all }
    }
  }

  func wait() -> Ending {
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    close(output)
    let signal = status & 0x7F
    return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
  }
}

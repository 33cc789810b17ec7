// Runs a program and collects what it prints, within a time and a size. Blocks its thread.

import Glibc

enum CommandOutput {
  static func of(_ arguments: [String], timeout: Duration, limit: Int) throws(AtRestError) -> [UInt8] {
    guard let program = arguments.first, program.hasPrefix("/") else {
      throw AtRestError(.refused, "a key command begins with a program's full path")
    }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw AtRestError(.io, "no pipe: \(reason(errno))") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let child: pid_t
    do throws(AtRestError) {
      child = try spawn(program, arguments, output: ends[1])
      close(ends[1])
    } catch {
      for end in ends { close(end) }
      throw error
    }
    let output = collect(from: ends[0], until: now() + milliseconds(timeout), limit: limit)
    close(ends[0])
    // A program that closed its output and lives on is ended too: it gets no more time than its output had.
    if output == nil { kill(child, SIGKILL) }
    let status = exitStatus(of: child, until: now() + (output == nil ? 10_000 : 1000))
    guard let output else { throw AtRestError(.refused, "\(program) printed no key within \(timeout)") }
    guard status == 0 else { throw AtRestError(.refused, "\(program) failed (status \(status))") }
    return output
  }

  private static func spawn(
    _ program: String, _ arguments: [String], output: Int32
  ) throws(AtRestError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    var vector = arguments.map { strdup($0) } + [nil]
    defer { for word in vector { free(word) } }
    var child = pid_t()
    let result = posix_spawn(&child, program, &actions, nil, &vector, environ)
    guard result == 0 else { throw AtRestError(.refused, "cannot run \(program): \(reason(result))") }
    return child
  }

  /// Nil when time or size runs out.
  private static func collect(from descriptor: Int32, until deadline: Int, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: limit + 1)
    while true {
      var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let left = deadline - now()
      guard left > 0 else { return nil }
      let result = poll(&ready, 1, Int32(clamping: left))
      if result < 0, errno == EINTR { continue }
      guard result > 0 else { return nil }
      let n = read(descriptor, &chunk, chunk.count)
      if n < 0, errno == EINTR { continue }
      guard n >= 0 else { return nil }
      if n == 0 { return bytes }
      bytes += chunk[..<n]
      guard bytes.count <= limit else { return nil }
    }
  }

  /// The exit status; 128 and more for a signal, or when it had to be ended.
  private static func exitStatus(of child: pid_t, until deadline: Int) -> Int32 {
    var status: Int32 = 0
    while true {
      let result = waitpid(child, &status, WNOHANG)
      if result == child { return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f }
      if result < 0, errno != EINTR { return 128 }
      if now() > deadline {
        kill(child, SIGKILL)
        waitpid(child, &status, 0)
        return 128 + SIGKILL
      }
      usleep(1000)
    }
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }

  private static func milliseconds(_ duration: Duration) -> Int {
    Int(duration.components.seconds) * 1000 + Int(duration.components.attoseconds / 1_000_000_000_000_000)
  }

  private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}

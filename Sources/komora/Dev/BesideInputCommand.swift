// `komora beside-input PROGRAM ARGUMENT…` (hidden): runs a program until it ends or standard input does.
//
// The program starts with every signal as the system has it: what spawned this process may have blocked or ignored some.

import ArgumentParser
import Glibc
import Threads

struct BesideInputCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "beside-input", shouldDisplay: false)

  @Argument(parsing: .captureForPassthrough)
  var command: [String]

  func run() throws {
    let child = try spawn()
    // It sits in read(2) until the input ends or this process does; nobody waits for it.
    let reader = Threads.Thread(name: "input") {
      var byte: UInt8 = 0
      while read(STDIN_FILENO, &byte, 1) > 0 {}
      kill(child, SIGTERM)
      // Etcd would wait longer for members that have ended as well; its log bears a kill.
      sleep(1)
      kill(child, SIGKILL)
    }
    defer { withExtendedLifetime(reader) {} }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    throw ExitCode(status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f)
  }

  private func spawn() throws -> pid_t {
    guard let program = command.first else { throw CommandFailure(.usage, "no program is named") }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    // The pipe is this process's alone.
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child = pid_t()
    let failure = posix_spawn(&child, program, &files, &attributes, &arguments, environ)
    guard failure == 0 else {
      throw CommandFailure(.failed, "cannot start \(program): \(String(cString: strerror(failure)))")
    }
    return child
  }
}

// One node process under `komora dev`.
//
// Its standard input is a pipe that `komora dev` holds open: when that process dies, however it dies, the node reads
// the end of its input and stops. It never outlives the command that a person started.

import Foundation
import Glibc
import Synchronization

final class NodeChild: Sendable {
  struct End: Sendable {
    var description: String
  }
  private let process: Mutex<Process>
  private let input: Pipe
  let pid: Int32

  /// `onEnd` runs once, on a thread of Foundation.
  init(
    configuration: String, pidFile: String, logLevel: String, onEnd: @escaping @Sendable (End) -> Void
  ) throws(CommandFailure) {
    let process = Process()
    let input = Pipe()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["node", "run", "--config", configuration, "--log-level", logLevel, "--stop-at-end-of-input"]
    process.standardInput = input
    process.terminationHandler = { process in
      let signalled = process.terminationReason == .uncaughtSignal
      onEnd(End(description: signalled ? "signal \(process.terminationStatus)" : "exit \(process.terminationStatus)"))
    }
    do {
      try process.run()
    } catch {
      throw CommandFailure(.failed, "cannot start the node: \(error.localizedDescription)")
    }
    pid = process.processIdentifier
    self.input = input
    self.process = Mutex(process)
    try PrivateFile.write(pidFile, Array("\(pid)\n".utf8))
  }

  /// By the end of its input, as when this process dies: all nodes end together, so none hands over to another.
  func terminate() { try? input.fileHandleForWriting.close() }
}

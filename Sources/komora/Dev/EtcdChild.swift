// A member of etcd under `komora dev`: a child of that process and not of its node, so that it outlives a node's kill -9.
//
// This program stands between (`BesideInputCommand`), because etcd does not end with its input: it ends etcd when the
// pipe that `komora dev` holds open is closed, however that process ended.

import Foundation
import Glibc
import Synchronization

final class EtcdChild: Sendable {
  /// Kept for as long as it may run.
  private let process: Mutex<Process>
  private let input: Pipe

  static var isInstalled: Bool { program != nil }

  private static var program: String? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/etcd" }
      .first { access($0, X_OK) == 0 }
  }

  /// `onEnd` runs once, on a thread of Foundation.
  init(configuration: String, log: String, onEnd: @escaping @Sendable () -> Void) throws(CommandFailure) {
    let process = Process()
    let input = Pipe()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["beside-input", Self.program ?? "etcd", "--config-file", configuration]
    process.standardInput = input
    process.terminationHandler = { _ in onEnd() }
    do {
      if !FileManager.default.fileExists(atPath: log) { try PrivateFile.write(log, []) }
      let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
      try output.seekToEnd()
      process.standardOutput = output
      process.standardError = output
      try process.run()
    } catch {
      throw CommandFailure(.failed, "cannot start etcd: \(error)")
    }
    self.input = input
    self.process = Mutex(process)
  }

  /// By the end of its input, as when this process dies.
  func terminate() { try? input.fileHandleForWriting.close() }
}

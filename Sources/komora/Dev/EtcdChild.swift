// A member of etcd under `komora dev`: a child of that process and not of its node, so that it outlives a node's kill -9.
//
// A shell stands between, because etcd does not end with its input: it waits for etcd, and ends it when the pipe that
// `komora dev` holds open is closed, however that process ended.

import Foundation
import Glibc
import Synchronization

final class EtcdChild: Sendable {
  private static let script = """
    exec 3<&0
    etcd --config-file "$1" </dev/null >"$2" 2>&1 &
    etcd=$!
    trap 'kill $etcd 2>/dev/null' TERM INT HUP
    (cat <&3 >/dev/null; kill $etcd) 2>/dev/null &
    input=$!
    wait $etcd
    wait $etcd
    kill $input 2>/dev/null
    """

  private let process: Mutex<Process>
  private let input: Pipe

  static var isInstalled: Bool {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains { access("\($0)/etcd", X_OK) == 0 }
  }

  /// `onEnd` runs once, on a thread of Foundation.
  init(configuration: String, log: String, onEnd: @escaping @Sendable () -> Void) throws(CommandFailure) {
    let process = Process()
    let input = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", Self.script, "etcd", configuration, log]
    process.standardInput = input
    process.terminationHandler = { _ in onEnd() }
    do {
      try process.run()
    } catch {
      throw CommandFailure(.failed, "cannot start etcd: \(error.localizedDescription)")
    }
    self.input = input
    self.process = Mutex(process)
  }

  /// SIGTERM.
  func terminate() { process.withLock { if $0.isRunning { $0.terminate() } } }
}

// The process that reads a foreign database, seen from the importer: frames when asked for, so that nothing piles up.

import Foundation
import Glibc
import Threads

final class DatabaseChild {
  private let process = Process()
  private let output = Pipe()
  private var decoder = DatabaseFrameDecoder()
  private let pool = WorkPool(name: "import", threads: 1)

  init(path: String, skipping: [String]) throws(CommandFailure) {
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["read-database", path] + skipping.flatMap { ["--skip", $0] }
    // Nothing of ours is handed down: no token, no profile.
    process.environment = [:]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    // A batch of rows at a time instead of a sixteenth of one, where the system allows that.
    _ = fcntl(output.fileHandleForReading.fileDescriptor, 1031 /* F_SETPIPE_SZ */, 1 << 20)
    do {
      try process.run()
    } catch {
      throw CommandFailure(.failed, "cannot start the process that reads the database: \(error.localizedDescription)")
    }
  }

  /// The next frame. A process that dies before its last frame is a failure.
  func next() async throws -> DatabaseFrame {
    while true {
      do {
        if let frame = try decoder.next() { return frame }
      } catch {
        throw CommandFailure(.failed, "the process that reads the database sent nonsense (\(error))")
      }
      let handle = output.fileHandleForReading
      let bytes = try await pool.perform { try handle.read(upToCount: 1 << 20).map { [UInt8]($0) } ?? [] }
      guard !bytes.isEmpty else {
        throw CommandFailure(
          .failed, "the process that reads the database died: the file may be damaged, or need more memory than it gets"
        )
      }
      decoder.append(bytes)
    }
  }

  /// Whatever it is doing: it has nothing to lose. One that waits for room in the pipe does not hear a request to end.
  func end() {
    try? output.fileHandleForReading.close()
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    pool.stop()
  }
}

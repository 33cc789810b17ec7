// Puts a directory's files into an account, some at a time. What is there already with the same size and MD5 is not
// sent again: so an import that was killed is run again, and one that is repeated sends nothing.

import Foundation
import Threads

struct RecordingsImport: Sendable {
  struct Counts: Equatable, Sendable {
    var sent = 0
    var sentBytes: Int64 = 0
    var present = 0
  }

  /// Files under way: while some wait for the node's disk, others keep the processors busy. At most so many times the
  /// bytes of a file that is sent from memory.
  static let parallel = 8
  /// That read and hash.
  static let readers = 2
  let client: S3Client
  let files: WorkPool
  let progress: @Sendable (Double, String) -> Void

  func run(_ tree: RecordingTree) async throws -> Counts {
    let existing = try await client.list()
    let total = tree.files.reduce(0) { $0 + $1.bytes }
    var counts = Counts()
    var doneBytes: Int64 = 0
    var next = tree.files.makeIterator()
    try await withThrowingTaskGroup(of: (RecordingTree.File, Bool).self) { group in
      func startNext() {
        guard let file = next.next() else { return }
        group.addTask { (file, try await self.send(file, existing[file.key])) }
      }
      for _ in 0..<Self.parallel { startNext() }
      while let (file, wasSent) = try await group.next() {
        startNext()
        doneBytes += file.bytes
        counts.sent += wasSent ? 1 : 0
        counts.sentBytes += wasSent ? file.bytes : 0
        counts.present += wasSent ? 0 : 1
        progress(
          total == 0 ? 1 : Double(doneBytes) / Double(total),
          "\(counts.sent + counts.present) of \(tree.files.count) files")
      }
    }
    return counts
  }

  /// False when it is there already.
  private func send(_ file: RecordingTree.File, _ existing: S3Client.Object?) async throws -> Bool {
    if let existing, existing.bytes == file.bytes, try await FileStream.md5(file.path, pool: files) == existing.etag {
      return false
    }
    var attempt = 0
    while true {
      attempt += 1
      do {
        try await client.put(
          file.path, key: file.key, bytes: file.bytes, type: RecordingTree.contentType(file.key))
        return true
      } catch let failure as CommandFailure where failure.kind == .unavailable && attempt < HranaClient.attemptsMax {
        try await Task.sleep(for: .milliseconds(min(100 << attempt, 3000)))
      }
    }
  }
}

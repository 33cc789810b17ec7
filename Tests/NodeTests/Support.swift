// What the tests of the node share: a clock that they move, and a place of their own on the disk.

import Base
import Foundation
import ShardStore
import Threads

typealias Seeded = SeededGenerator

/// Stands still until a test moves it.
final class TestClock: StoreClock {
  private let time: Lock<UnixMicroseconds>
  init(_ start: UnixMicroseconds = 1_760_000_000_000_000) { time = Lock(start) }
  func unixMicroseconds() -> UnixMicroseconds { time.with { $0 } }
  func monotonicNanoseconds() -> UInt64 { UInt64(time.with { $0 }) * 1_000 }
  func set(_ now: UnixMicroseconds) { time.with { $0 = now } }
  func advance(_ seconds: Int64) { time.with { $0 += seconds * 1_000_000 } }
}

final class TemporaryDirectory {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "komora-node-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

// The time by which a node that stands alone lets archives go: its clock, but never back, and never faster than time passes
// on the monotone clock, so that no clock that somebody sets wrong erases anything. A cluster has one time for all nodes.
//
// It lies in a file, a line of text, since a start begins where the last run ended: the time in between counts as none, and
// is made up for at a tenth of the time that passes. Retention that is late keeps more than it must. A clock that was
// ahead at the first start stays in here: whoever asks goes by the clock as well, and by the earlier of the two.

import Base
import Control
import Disk
import ShardStore
import Threads

final class RetentionTime: Sendable {
  private struct State {
    var committed: UnixMicroseconds?
    var at: UInt64 = 0
    var written: UnixMicroseconds?
  }

  private let disk: any Disk
  private let path: String
  private let clock: any StoreClock
  private let state = Lock(State())
  private static let prefix = "komora retention time 1: "
  /// The file is at most this much behind.
  private static let writtenEvery: Int64 = 60_000_000

  init(disk: any Disk, path: String, clock: any StoreClock) {
    self.disk = disk
    self.path = path
    self.clock = clock
  }

  /// The time now, which the file knows. Blocks. Throws when the file cannot be read: then nothing may be let go.
  func now() throws -> UnixMicroseconds {
    try state.with { s in
      let (wall, monotonic) = (clock.unixMicroseconds(), clock.monotonicNanoseconds())
      if s.committed == nil {
        s.written = try stored()
        s.committed = s.written
        s.at = monotonic
      }
      let elapsed = Interval(nanoseconds: Int64(clamping: monotonic - min(s.at, monotonic)))
      let next =
        s.committed.map { CommittedTime.next(previous: $0, elapsed: elapsed, clocks: [wall]) } ?? wall
      s.committed = next
      s.at = monotonic
      if next - (s.written ?? .min / 2) >= Self.writtenEvery {
        try disk.replaceFile(path, Array("\(Self.prefix)\(next)\n".utf8))
        s.written = next
      }
      return next
    }
  }

  private func stored() throws -> UnixMicroseconds? {
    guard try disk.info(path) != nil else { return nil }
    let text = String(decoding: try disk.readAll(path, limit: 256), as: UTF8.self)
    guard text.hasPrefix(Self.prefix), text.hasSuffix("\n"),
      let time = UnixMicroseconds(text.dropFirst(Self.prefix.count).dropLast())
    else {
      throw NodeError(
        .io, "\(path) does not hold the time of retention; archives keep everything until it is put back or removed")
    }
    return time
  }
}

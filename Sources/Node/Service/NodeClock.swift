// Wall-clock time as every surface of the node shows it. The clock itself is an argument, so that schedules, expiry and
// time stamps are tested on one that tests move.

import Base
import Foundation
import ShardStore

extension StoreClock {
  var now: UnixMicroseconds { unixMicroseconds() }
}

extension Duration {
  /// Rounded down.
  var wholeMicroseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
  }
}

extension UnixMicroseconds {
  /// RFC 3339 with milliseconds, UTC.
  package var rfc3339: String {
    let date = Date(timeIntervalSince1970: Double(self) / 1_000_000)
    return date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}

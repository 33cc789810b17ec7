// What one SQL request may take.

import Node
import ShardStore

struct SQLLimits: Sendable {
  var resultRows: Int
  var resultBytes: Int
  /// Nanoseconds that a statement or a batch may run.
  var timeout: UInt64
  /// A cursor keeps at most so much of a result before it goes over to reading piece by piece.
  var cursorBytes = 1 << 20

  init(_ configuration: NodeConfiguration) {
    resultRows = configuration.limits.sqlResultRowsCount
    resultBytes = configuration.limits.sqlResultBytes
    timeout = configuration.timers.requestTimeout.wholeNanoseconds
  }
}

extension Duration {
  var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(max(seconds, 0)) * 1_000_000_000 + UInt64(max(attoseconds, 0) / 1_000_000_000)
  }
}

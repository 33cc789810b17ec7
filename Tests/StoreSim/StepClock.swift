// Time that moves only when the simulation moves it.

import Base
import ShardStore
import Threads

final class StepClock: StoreClock {
  private let microseconds = Lock<Int64>(1_000_000_000_000)

  func unixMicroseconds() -> UnixMicroseconds { microseconds.with { $0 } }
  func monotonicNanoseconds() -> UInt64 { UInt64(microseconds.with { $0 }) * 1_000 }
  func advance(microseconds step: Int64) { microseconds.with { $0 += step } }
}

// When the periodic work is due next, and what the driver's timer was set to last.

import Base

struct Schedule: Sendable {
  var probe: Instant?
  var gossip: Instant?
  var pushPull: Instant?
  var reconnect: Instant?
  var report: Instant?
  var sweep: Instant?
  /// No push-pull out of turn before this.
  var extraPushPull: Instant?
  var timer: Instant?

  /// The earliest of the periods.
  var earliest: Instant? { [probe, gossip, pushPull, reconnect, sweep].compactMap { $0 }.min() }
}

// What a node measures about itself from time to time and tells its membership.

package import Base

package struct HealthSample: Sendable, Equatable {
  /// Thousandths of what the node can do, and of its disk.
  package var loadPermille: Int
  package var diskFillPermille: Int
  package var loopLag: Interval
  package var syncLatency: Interval
  package var applyLag: Interval
  package var isDraining: Bool

  package init(
    loadPermille: Int = 0, diskFillPermille: Int = 0, loopLag: Interval = .zero, syncLatency: Interval = .zero,
    applyLag: Interval = .zero, isDraining: Bool = false
  ) {
    self.loadPermille = loadPermille
    self.diskFillPermille = diskFillPermille
    self.loopLag = loopLag
    self.syncLatency = syncLatency
    self.applyLag = applyLag
    self.isDraining = isDraining
  }
}

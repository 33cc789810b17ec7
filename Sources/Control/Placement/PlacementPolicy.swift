// What an operator may change about planning. The same for the whole cluster.

package import Base

package struct PlacementPolicy: Sendable, Equatable {
  /// In thousandths of its disk. A fuller node takes nothing new.
  package var diskFillPermilleMax = 900
  /// A node that is dead for longer counts as gone for good. Long enough for a reboot or an upgrade gone wrong, since
  /// copying everything elsewhere is dear and the goal holds meanwhile.
  package var replaceAfter = Interval.seconds(900)
  /// Moves of one cluster under way at once for draining and balancing.
  package var movesAtOnce = 8
  /// The same for lost replicas, where every minute counts.
  package var repairsAtOnce = 32
  /// Balancing begins when two nodes differ by more than this share of the mean number of replicas…
  package var balanceBeginsPermille = 200
  /// …and goes on until they differ by no more than this.
  package var balanceEndsPermille = 50

  package init() {}
}

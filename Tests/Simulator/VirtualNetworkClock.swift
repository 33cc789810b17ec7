// A node's own clock: it began at another moment than the others and runs a little too fast or too slow.

package struct VirtualNetworkClock: Sendable {
  package let offset: Int64
  package let driftPartsPerMillion: Int64

  package init(offset: Int64, driftPartsPerMillion: Int64) {
    self.offset = offset
    self.driftPartsPerMillion = driftPartsPerMillion
  }

  package func local(_ global: Int64) -> Int64 { offset + global + global / 1_000_000 * driftPartsPerMillion }

  /// The first global instant at which the local clock shows at least `local`.
  package func global(_ local: Int64) -> Int64 {
    let elapsed = local - offset
    var guess = elapsed - elapsed / 1_000_000 * driftPartsPerMillion
    while self.local(guess) < local { guess += 1_000 + (local - self.local(guess)) / 2 }
    return guess
  }
}

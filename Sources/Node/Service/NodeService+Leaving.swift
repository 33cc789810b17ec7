// The first part of an orderly stop, while everything still answers: what this node leads goes to others, and clients are
// told to go elsewhere.

import Threads

struct Leaving {
  /// Not ready any more.
  var hasBegun = false
  /// The other nodes stop as well: nobody could take over, and nobody has to.
  var endsWithOthers = false
}

extension NodeService {
  package var isLeaving: Bool { leaving.with { $0.hasBegun } }

  /// Whoever started this node ends, and with it the whole cluster: a stop hands nothing over.
  package func expectEndOfAll() { leaving.with { $0.endsWithOthers = true } }

  /// Returns when this node leads nothing that another one can lead, and load balancers had time to notice.
  package func leave() async {
    let endsWithOthers = leaving.with { leaving in
      leaving.hasBegun = true
      return leaving.endsWithOthers
    }
    guard let cluster, !endsWithOthers, !cluster.isAlone else { return }
    let noticed = ContinuousClock.now + configuration.timers.leaveNotice
    await cluster.shards.handOverAll(within: configuration.fabric.handOverWait)
    try? await Task.sleep(until: noticed, clock: .continuous)
  }
}

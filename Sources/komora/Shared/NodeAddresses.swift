// Addresses of the nodes of one cluster: any of them answers, and after one that did not the next is asked.
//
// Whoever shares it goes on with the one that answered last.

import Threads

final class NodeAddresses: Sendable {
  let all: [String]
  private let place = Lock(0)

  /// - Parameter all: at least one.
  init(_ all: [String]) { self.all = all }

  var current: String { all[place.with { $0 }] }

  /// `address` did not answer: from now on the one behind it, unless somebody has moved on already.
  func leave(_ address: String) {
    place.with { place in if all[place] == address { place = (place + 1) % all.count } }
  }
}

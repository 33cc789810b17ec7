// The datagrams' keys of a cluster and the steps of their rotation.
//
// A new key is first known to all, then used, and the old one is dropped last: each step is a new generation in the
// control store, and the next one waits until every node has taken the last one over. So no two nodes ever seal with a
// key that the other does not have.

import Base
import Fabric
import Formats
import OpenSSL

struct DatagramRing: Sendable, Equatable {
  private(set) var contents: DatagramRingContents

  init(_ contents: DatagramRingContents) { self.contents = contents }

  /// A new cluster's.
  init(at now: UnixMicroseconds) {
    contents = DatagramRingContents(generation: 1, primary: 1, since: now, keys: [1: SystemRandom.bytes(32)])
  }

  var generation: Int { Int(clamping: contents.generation) }

  var keys: DatagramKeys {
    let secret = SecretBytes(contents.keys[contents.primary]!)
    var keys = DatagramKeys(primary: contents.primary, secret)
    for (id, key) in contents.keys where id != contents.primary { _ = keys.add(id, SecretBytes(key)) }
    return keys
  }

  /// The next step of a rotation; nil when there is nothing to do. `isDue`: a new key is wanted.
  func next(at now: UnixMicroseconds, isDue: Bool) -> DatagramRing? {
    var next = contents
    next.generation += 1
    let newest = contents.keys.keys.max()!
    if newest > contents.primary {
      next.primary = newest
      next.since = now
    } else if let old = contents.keys.keys.min(), old != contents.primary {
      next.keys[old] = nil
    } else if isDue {
      next.keys[contents.primary + 1] = SystemRandom.bytes(32)
    } else {
      return nil
    }
    return DatagramRing(next)
  }
}

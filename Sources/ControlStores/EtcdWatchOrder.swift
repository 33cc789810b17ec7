// What a watch promises its reader, checked on what a server says: keys below the prefix, revisions that never fall and
// do not begin before the one that was asked for.

struct EtcdWatchOrder {
  private let prefix: String
  private var last: ControlRevision

  init(prefix: String, revision: ControlRevision) {
    self.prefix = prefix
    last = max(revision, 1)
  }

  mutating func check(_ events: [ControlEvent]) throws(ControlStoreError) {
    for event in events {
      let revision = event.revision
      guard revision >= last, event.key.hasPrefix(prefix) else {
        throw ControlStoreError(.io, "etcd tells what was not asked for, or out of order")
      }
      last = revision
    }
  }
}

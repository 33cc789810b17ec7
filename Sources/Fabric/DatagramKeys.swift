// The ring of keys that seal datagrams: one seals, all of them open.
//
// A rotation has three steps, each finished everywhere before the next: add the new key, make it primary, remove the old
// one. The keys are the cluster's, shared by its members: a seal proves membership, and which member it was only against
// outsiders.

package import OpenSSL

package struct DatagramKeys: Sendable {
  package typealias ID = UInt32

  /// More than a rotation ever needs; each is one attempt that a forged head may cost.
  package static let countMax = 8

  package private(set) var primary: ID
  private var keys: [ID: SecretBytes]

  /// `key` has 32 bytes.
  package init(primary: ID, _ key: SecretBytes) {
    precondition(key.count == 32, "a key has 32 bytes")
    self.primary = primary
    keys = [primary: key]
  }

  package var ids: [ID] { keys.keys.sorted() }
  subscript(id: ID) -> SecretBytes? { keys[id] }

  /// False when the ring is full or has another key of that id.
  package mutating func add(_ id: ID, _ key: SecretBytes) -> Bool {
    precondition(key.count == 32, "a key has 32 bytes")
    if let present = keys[id] { return constantTimeEqual(present.copy, key.copy) }
    guard keys.count < Self.countMax else { return false }
    keys[id] = key
    return true
  }

  /// False when there is no such key.
  package mutating func makePrimary(_ id: ID) -> Bool {
    guard keys[id] != nil else { return false }
    primary = id
    return true
  }

  /// The primary stays; false for it and for a key that is not there.
  package mutating func remove(_ id: ID) -> Bool { id != primary && keys.removeValue(forKey: id) != nil }
}

// The keys of the control store, and the JSON of its values. Keys are readable where the store lies, so they carry
// opaque ids only.

import Base
import ControlStores
import Formats
import Foundation

enum ControlKeys {
  static let accounts = "account/"
  static let keys = "key/"
  static let admins = "admin/"
  static let nodes = "node/"
  static let invitations = "invitation/"
  static let cluster = "cluster/"
  /// Put for its revision only: who has seen that one has seen everything before it.
  static let barrier = "barrier"
  private static let names = "names/"

  enum NameKind: String {
    case accounts, nodes
  }

  static func account(_ id: AccountID) -> String { accounts + "\(id)" }
  static func key(_ accessKey: String) -> String { keys + accessKey }
  static func admin(_ id: String) -> String { admins + id }
  static func node(_ id: NodeID) -> String { nodes + "\(id)" }
  static func invitation(_ id: String) -> String { invitations + id }
  static func names(_ kind: NameKind) -> String { names + kind.rawValue }

  /// What a key is about.
  enum Place {
    case account(AccountID)
    case key(String)
    case admin(String)
    case node(NodeID)
    case shard(AccountID)
    case invitation
    case names
    case cluster
    case other

    init(_ key: String) {
      func rest(_ prefix: String) -> String? { key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : nil }
      if let id = rest(accounts).flatMap(AccountID.init(_:)) {
        self = .account(id)
      } else if let id = rest(keys) {
        self = .key(id)
      } else if let id = rest(admins) {
        self = .admin(id)
      } else if let id = rest(nodes).flatMap(NodeID.init(_:)) {
        self = .node(id)
      } else if let id = OwnershipRecord.account(ofKey: key) {
        self = .shard(id)
      } else if key.hasPrefix(ControlKeys.invitations) {
        self = .invitation
      } else if key.hasPrefix(ControlKeys.names) {
        self = .names
      } else if key.hasPrefix(ControlKeys.cluster) {
        self = .cluster
      } else {
        self = .other
      }
    }
  }

  static func encode(_ value: some Encodable) throws(NodeError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    do {
      return Array(try encoder.encode(value))
    } catch {
      throw NodeError(.invalid, "a value cannot be stored")
    }
  }

  private static let versionMax = 1
  private struct Versioned: Decodable { var version: Int }

  static func decode<T: Decodable>(_ entry: ControlEntry, as _: T.Type = T.self) throws(NodeError) -> T {
    do {
      let (decoder, data) = (JSONDecoder(), Data(entry.value))
      // A newer form may look like this one, and would lose what it has more when it is written again.
      guard try decoder.decode(Versioned.self, from: data).version <= versionMax else {
        throw NodeError(.io, "a newer form")
      }
      return try decoder.decode(T.self, from: data)
    } catch {
      throw NodeError(.io, "the control store has a value of a form that this version does not know: \(entry.key)")
    }
  }
}

extension NodeError {
  init(_ error: ControlStoreError) {
    let code: Code =
      switch error.code {
      case .busy, .unavailable, .unknown, .compacted, .leaseExpired: .unavailable
      case .refused: .refused
      case .wrongKey, .damaged, .invalid, .io: .io
      }
    self.init(code, error.message)
  }
}

// Everything that the control store holds, in memory: accounts, credentials, nodes, the cluster's own entries.
//
// It is a fold over the store's entries and events, in their order, and nothing else changes it; anybody may read it.
// Names are unique among accounts that are not deleted, and among nodes that are not removed.

import Base
import Control
import ControlStores
import Formats
import OpenSSL

struct ControlView {
  struct Account {
    var record: AccountRecord
    /// Of its entry in the control store.
    var revision: Int64
  }

  struct Node {
    var record: NodeRecord
    var revision: Int64
  }

  struct Shard {
    let record: OwnershipRecord
    let revision: Int64
    /// What its voters survive: looked at with every request, and found out by trying.
    let survives: Survival

    init(record: OwnershipRecord, revision: Int64) {
      (self.record, self.revision) = (record, revision)
      survives = Survival(Control.Survival(record.previousSet ?? record.voterSet).survives)
    }
  }

  private(set) var accounts: [AccountID: Account] = [:]
  /// Who owns each shard, for plans; whoever must know at once asks `ShardService`.
  private(set) var shards: [AccountID: Shard] = [:]
  private var byName: [String: AccountID] = [:]
  private(set) var nodes: [NodeID: Node] = [:]
  private(set) var credentials = CredentialIndex()
  /// Entries of the cluster itself, below `cluster/`, by key.
  private(set) var cluster: [String: ControlEntry] = [:]
  /// Of the entries that new names are checked against: whoever adds a name compares it.
  private(set) var namesRevision: [String: Int64] = [:]
  /// Revisions of the invitations that nobody has used, by key; what they say is read when it is needed.
  private(set) var invitations: [String: Int64] = [:]
  /// The newest snapshot that the schedule knows of.
  var lastSnapshot: [AccountID: UnixMicroseconds] = [:]
  /// When the schedule last started one, or looked into the archive for one.
  var lastAttempt: [AccountID: UnixMicroseconds] = [:]

  subscript(_ id: AccountID) -> Account? { accounts[id] }
  subscript(name name: String) -> Account? { byName[name].flatMap { accounts[$0] } }
  subscript(_ id: NodeID) -> Node? { nodes[id] }

  /// As it is shown: with what its voters survive.
  func shown(_ record: AccountRecord) -> AccountRecord {
    var record = record
    if let shard = shards[record.id] { record.survives = shard.survives }
    return record
  }

  /// The node that has this name now.
  func node(named name: String) -> Node? {
    nodes.values.first { $0.record.name == name && $0.record.state != .removed }
  }

  /// The account whose archive `name` means: the living one, else the one deleted last.
  func archived(_ name: String) -> AccountRecord? {
    if let living = self[name: name] { return living.record }
    return accounts.values.map(\.record).filter { $0.name == name && $0.state == .deleted }
      .max { ($0.deletedAt ?? 0) < ($1.deletedAt ?? 0) }
  }

  /// Says that a transaction adds a name of this kind: it fails when another one did so meanwhile.
  func addingName(_ kind: ControlKeys.NameKind) -> (ControlCondition, ControlChange) {
    let key = ControlKeys.names(kind)
    return (ControlCondition(key, at: namesRevision[key] ?? 0), .put(key, []))
  }

  // MARK: folding

  /// A view of a whole store.
  init(_ entries: [ControlEntry] = []) throws(NodeError) {
    for entry in entries { try apply(.put(entry)) }
  }

  /// Of all entries that it holds.
  var keys: Set<String> {
    var keys = Set(accounts.keys.map(ControlKeys.account)).union(nodes.keys.map(ControlKeys.node))
    keys.formUnion(shards.keys.map(OwnershipRecord.key))
    keys.formUnion(credentials.keys.keys.map(ControlKeys.key))
    keys.formUnion(credentials.admins.keys.map(ControlKeys.admin))
    return keys.union(cluster.keys).union(namesRevision.keys).union(invitations.keys)
  }

  /// A value of an unknown form is an error, and changes nothing.
  mutating func apply(_ event: ControlEvent) throws(NodeError) {
    if case .damaged = event { return }
    let key = event.key
    switch ControlKeys.Place(key) {
    case .account(let id): try apply(event, account: id)
    case .key(let id): try apply(event, key: id)
    case .admin(let id): try apply(event, admin: id)
    case .node(let id):
      if case .put(let entry) = event {
        let stored: StoredNode = try ControlKeys.decode(entry)
        nodes[id] = Node(record: try stored.record(id: id), revision: entry.revision)
      } else {
        nodes[id] = nil
      }
    case .shard(let id):
      if case .put(let entry) = event {
        do throws(FormatError) {
          shards[id] = Shard(record: try OwnershipRecord(entry.value), revision: entry.revision)
        } catch {
          throw NodeError(.io, "the control store has an ownership record that cannot be read: \(key)")
        }
      } else {
        shards[id] = nil
      }
    case .invitation:
      if case .put(let entry) = event { invitations[key] = entry.revision } else { invitations[key] = nil }
    case .names:
      if case .put(let entry) = event { namesRevision[key] = entry.revision } else { namesRevision[key] = nil }
    case .cluster:
      if case .put(let entry) = event { cluster[key] = entry } else { cluster[key] = nil }
    case .other: break
    }
  }

  private mutating func apply(_ event: ControlEvent, account id: AccountID) throws(NodeError) {
    let stored: StoredAccount?
    if case .put(let entry) = event { stored = try ControlKeys.decode(entry) } else { stored = nil }
    if let former = accounts[id], byName[former.record.name] == id { byName[former.record.name] = nil }
    guard let stored, case .put(let entry) = event else {
      accounts[id] = nil
      return
    }
    let record = stored.record(id: id)
    accounts[id] = Account(record: record, revision: entry.revision)
    if record.state != .deleted { byName[record.name] = id }
  }

  private mutating func apply(_ event: ControlEvent, key id: String) throws(NodeError) {
    guard case .put(let entry) = event else { return credentials.removeKey(id) }
    let stored: StoredKey = try ControlKeys.decode(entry)
    guard let account = AccountID(stored.account), let hash = [UInt8](hex: stored.tokenHash) else {
      throw NodeError(.io, "the control store has a key of no account")
    }
    let record = KeyRecord(id: id, account: account, label: stored.label, createdAt: stored.createdAt)
    credentials.removeKey(id)
    credentials.add(.init(record: record, secret: SecretBytes(Array(stored.secretKey.utf8)), tokenHash: hash))
  }

  private mutating func apply(_ event: ControlEvent, admin id: String) throws(NodeError) {
    guard case .put(let entry) = event else { return credentials.removeAdmin(id) }
    let stored: StoredAdminToken = try ControlKeys.decode(entry)
    guard let hash = [UInt8](hex: stored.tokenHash) else {
      throw NodeError(.io, "the control store has a token without its hash")
    }
    let record = AdminTokenRecord(
      id: id, name: stored.name, scopes: Set(stored.scopes), createdAt: stored.createdAt, expiresAt: stored.expiresAt)
    credentials.removeAdmin(id)
    credentials.add(.init(record: record, tokenHash: hash))
  }
}

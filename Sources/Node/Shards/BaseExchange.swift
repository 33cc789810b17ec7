// Bases between nodes: an account as its primary has it, fetched whole by a node that is to have a replica.
//
// The control store's record is the leave for it on both sides: only a node that it names is given one, only the primary
// is asked. A source is kept while it is fetched, so that a transfer that broke goes on where it was; a new one is made
// for whoever begins anew.

import Base
import Fabric
import Formats
import OpenSSL
import ShardStore
import Threads
import UVLoop

final class BaseExchange: Sendable {
  private struct Key: Hashable {
    var account: AccountID
    var peer: NodeID
  }

  private struct Held {
    var source: any FabricSource
    var madeAt: ContinuousClock.Instant
  }

  private static let keptFor = Duration.seconds(600)

  private let engine: Engine
  private let endpoint: FabricEndpoint
  private let addressOf: @Sendable (NodeID) -> SocketAddress?
  private let recordOf: @Sendable (AccountID) -> OwnershipRecord?
  private let held = Lock<[Key: Held]>([:])

  init(
    _ engine: Engine, _ endpoint: FabricEndpoint, addressOf: @escaping @Sendable (NodeID) -> SocketAddress?,
    recordOf: @escaping @Sendable (AccountID) -> OwnershipRecord?
  ) {
    (self.engine, self.endpoint, self.addressOf, self.recordOf) = (engine, endpoint, addressOf, recordOf)
  }

  // MARK: giving

  /// What `name`, the account's 16 bytes, means to `peer`; nil when it is not to have it, or this node cannot give it.
  func source(_ name: [UInt8], for peer: NodeID) async -> (any FabricSource)? {
    guard name.count == 16 else { return nil }
    let account = AccountID(bytes: name)
    guard recordOf(account)?.names(peer) == true, engine.hasAccount(account) else { return nil }
    let key = Key(account: account, peer: peer)
    let now = ContinuousClock.now
    let known = held.with { held in
      held = held.filter { now - $0.value.madeAt < Self.keptFor }
      return held[key]?.source
    }
    if let known { return known }
    guard let source = try? await make(account, key) else { return nil }
    held.with { $0[key] = Held(source: source, madeAt: now) }
    return source
  }

  private func make(_ account: AccountID, _ key: Key) async throws -> any FabricSource {
    let delivered: @Sendable () -> Void = { [weak self] in self?.held.with { $0[key] = nil } }
    // Before the first record is committed there is nothing but keys, and the log reaches back to its beginning.
    if try await engine.standing(account).committed == .start {
      return NewBase(try await engine.emptyBase(account), delivered)
    }
    return LiveBase(source: try await engine.baseSource(account), delivered: delivered)
  }

  private struct LiveBase: FabricSource {
    let source: BaseSource
    let delivered: @Sendable () -> Void
    var size: UInt64 { source.size }
    var validator: [UInt8] { source.validator }

    func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
      let bytes = try await source.read(at: offset, count: count)
      if offset + UInt64(bytes.count) >= size { delivered() }
      return bytes
    }
  }

  private struct NewBase: FabricSource {
    let bytes: [UInt8]
    let validator: [UInt8]
    let delivered: @Sendable () -> Void
    var size: UInt64 { UInt64(bytes.count) }

    init(_ bytes: [UInt8], _ delivered: @escaping @Sendable () -> Void) {
      (self.bytes, self.delivered) = (bytes, delivered)
      validator = SHA256.hash(bytes)
    }

    func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
      let end = min(bytes.count, Int(offset) + count)
      if end == bytes.count { delivered() }
      return Array(bytes[Int(offset)..<end])
    }
  }

  // MARK: taking

  /// Fetches and installs the account's base from `node`; the position behind which its log goes on. Nil when that node
  /// has none to give now.
  func fetch(_ account: AccountID, from node: NodeID) async throws -> Position? {
    guard let address = addressOf(node) else { return nil }
    var download = endpoint.download(
      node, at: address, method: FabricMethod.shardBase.rawValue, name: account.bytes)
    let first: [UInt8]?
    do throws(FabricError) {
      first = try await download.next()
    } catch {
      if error.code == .absent || error.code == .refused || error.code == .unreachable { return nil }
      throw error
    }
    let builder = try await engine.beginBase(account)
    var next = first
    while let bytes = next {
      try await builder.take(bytes)
      next = try await download.next()
    }
    return try await builder.finish()
  }
}

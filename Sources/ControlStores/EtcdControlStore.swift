// The control store of a cluster: etcd 3.4 or later over its JSON gateway.
//
// Keys are readable there and carry opaque ids only; values are sealed, since etcd's log and snapshots are not. A value
// is bound to its key. It cannot be bound to its revision, which etcd gives only afterwards: what stands for "nobody
// put an older value back" is etcd's own history and who may write to it. What a server answers is checked before it is
// believed: keys that were asked for, in order, at revisions that can be.

import Foundation
package import OpenSSL

package final class EtcdControlStore: ControlStore {
  private let gateway: EtcdGateway
  private let sealer: SealerPool
  private let prefix: String

  /// `root` is the cluster's key for control values. Nothing is sent yet.
  package convenience init(_ configuration: EtcdConfiguration, root: SecretBytes) throws(ControlStoreError) {
    try self.init(configuration, root: root, over: nil)
  }

  /// Over another transport than HTTP; nil is HTTP.
  package init(
    _ configuration: EtcdConfiguration, root: SecretBytes, over transport: (any EtcdTransport)?
  ) throws(ControlStoreError) {
    guard configuration.prefix.hasSuffix("/") else {
      throw ControlStoreError(.invalid, "the prefix of control keys ends with a slash")
    }
    gateway = try EtcdGateway(configuration, transport)
    prefix = configuration.prefix
    sealer = SealerPool(root: root)
  }

  /// The certificate and the key were written anew. `.unavailable` once it was closed.
  package func renewCertificates() async throws(ControlStoreError) { try await gateway.renewCertificates() }

  /// As `renewCertificates`, over another transport.
  package func use(_ transport: any EtcdTransport) async throws(ControlStoreError) { try await gateway.use(transport) }

  /// Ends open requests and watches.
  package func close() async { await gateway.close() }

  /// Requests and watches that begin later go to these; what is under way is not disturbed.
  package func use(endpoints: [String]) throws(ControlStoreError) { try gateway.use(endpoints) }

  package func entry(_ key: String) async throws(ControlStoreError) -> ControlEntry? {
    let request = EtcdMessage.RangeRequest(key: stored(key), end: nil, limit: nil)
    let answer: EtcdMessage.RangeResponse = try await gateway.call("/v3/kv/range", request, changes: false)
    guard let value = answer.kvs?.first else { return nil }
    let entry = try entry(value)
    guard entry.key == key, answer.kvs?.count == 1 else { throw Self.unasked }
    return entry
  }

  package func entries(prefix: String, limit: Int) async throws(ControlStoreError) -> ControlRange {
    let first = stored(prefix)
    let request = EtcdMessage.RangeRequest(key: first, end: Self.end(of: first), limit: .init(Int64(limit)))
    let answer: EtcdMessage.RangeResponse = try await gateway.call("/v3/kv/range", request, changes: false)
    guard let revision = answer.header.revision?.value, revision > 0, (answer.kvs ?? []).count <= limit else {
      throw Self.unasked
    }
    var range = ControlRange(entries: [], revision: revision)
    var last: String?
    for value in answer.kvs ?? [] {
      let key = try name(value)
      guard try self.revision(value) <= revision, key.hasPrefix(prefix), last.map({ $0 < key }) ?? true else {
        throw Self.unasked
      }
      last = key
      if let entry = try open(value, key) { range.entries.append(entry) } else { range.damaged.append(key) }
    }
    return range
  }

  package func transact(
    if conditions: [ControlCondition], then changes: [ControlChange], lease: ControlLease?
  ) async throws(ControlStoreError) -> ControlOutcome {
    for change in changes { try EmbeddedControlStore.check(change) }
    guard Set(changes.map(\.key)).count == changes.count else {
      throw ControlStoreError(.invalid, "a transaction changes a key once")
    }
    let request = EtcdMessage.TransactionRequest(
      compare: conditions.map { .init(key: stored($0.key), revision: .init($0.revision)) },
      success: changes.map { change in
        switch change {
        case .put(let key, let value):
          .init(
            put: .init(key: stored(key), value: Data(sealer.seal(value, key: key)), lease: lease.map { .init($0.id) }))
        case .delete(let key): .init(delete: .init(key: stored(key)))
        }
      })
    let answer: EtcdMessage.TransactionResponse = try await gateway.call("/v3/kv/txn", request, changes: true)
    guard let revision = answer.header.revision?.value, revision > 0 else {
      throw ControlStoreError(.unknown, "etcd's answer has no revision; the change may have been made")
    }
    return ControlOutcome(succeeded: answer.succeeded ?? false, revision: revision)
  }

  package func grant(seconds: Int) async throws(ControlStoreError) -> ControlLease {
    let request = EtcdMessage.Lease(id: nil, seconds: .init(Int64(seconds)))
    // A lease that nobody knows of expires by itself: a lost answer leaves no doubt that matters.
    let answer: EtcdMessage.Lease = try await gateway.call("/v3/lease/grant", request, changes: false)
    guard let id = answer.id?.value, id > 0, let granted = answer.seconds?.value, granted > 0 else {
      throw ControlStoreError(.io, "etcd granted no lease")
    }
    return ControlLease(id: id, seconds: Int(granted))
  }

  package func keepAlive(_ lease: ControlLease) async throws(ControlStoreError) {
    let request = EtcdMessage.Lease(id: .init(lease.id), seconds: nil)
    let answer: EtcdMessage.KeepAliveLine = try await gateway.call("/v3/lease/keepalive", request, changes: false)
    if let error = answer.error { throw EtcdGateway.refusal(error.text, changes: false) }
    // etcd answers for a lease that it does not know with no time left.
    guard let left = answer.result?.seconds?.value, left > 0 else {
      throw ControlStoreError(.leaseExpired, "the lease has expired")
    }
  }

  package func revoke(_ lease: ControlLease) async throws(ControlStoreError) {
    let request = EtcdMessage.Lease(id: .init(lease.id), seconds: nil)
    let _: EtcdMessage.Nothing = try await gateway.call("/v3/lease/revoke", request, changes: true)
  }

  package func watch(
    prefix: String, from revision: ControlRevision
  ) -> AsyncThrowingStream<[ControlEvent], any Error> {
    let first = stored(prefix)
    return EtcdWatch(
      gateway: gateway, first: first, end: Self.end(of: first), prefix: prefix, revision: revision,
      event: { event throws(ControlStoreError) in try self.event(event) }
    ).stream()
  }

  // MARK: keys and values

  private func stored(_ key: String) -> Data { Data((prefix + key).utf8) }

  /// The first key behind all that begin with `prefix`; keys are ASCII, so the last byte can be raised.
  private static func end(of prefix: Data) -> Data {
    var end = prefix
    end[end.count - 1] += 1
    return end
  }

  private static let unasked = ControlStoreError(.io, "etcd answers what was not asked for")

  private func name(_ value: EtcdMessage.KeyValue) throws(ControlStoreError) -> String {
    // Whoever writes below our prefix may write what is no text: it must be possible to name it.
    let key = String(decoding: value.key, as: UTF8.self)
    guard key.hasPrefix(prefix) else { throw Self.unasked }
    return String(key.dropFirst(prefix.count))
  }

  private func entry(_ value: EtcdMessage.KeyValue) throws(ControlStoreError) -> ControlEntry {
    let key = try name(value)
    guard let entry = try open(value, key) else {
      throw ControlStoreError(.damaged, "the value of \(key) in etcd was not put there with this cluster's key")
    }
    return entry
  }

  /// Nil for a value that this cluster's key does not open.
  private func open(_ value: EtcdMessage.KeyValue, _ key: String) throws(ControlStoreError) -> ControlEntry? {
    let revision = try revision(value)
    guard let plain = sealer.open(Array(value.value ?? Data()), key: key) else { return nil }
    return ControlEntry(key: key, value: plain, revision: revision)
  }

  private func revision(_ value: EtcdMessage.KeyValue) throws(ControlStoreError) -> ControlRevision {
    guard let revision = value.revision?.value, revision > 0 else { throw Self.unasked }
    return revision
  }

  private func event(_ event: EtcdMessage.WatchLine.Event) throws(ControlStoreError) -> ControlEvent {
    switch event.type {
    case "DELETE": .deleted(key: try name(event.entry), revision: try revision(event.entry))
    case nil, "PUT": try put(event.entry)
    default: throw Self.unasked
    }
  }

  private func put(_ value: EtcdMessage.KeyValue) throws(ControlStoreError) -> ControlEvent {
    let key = try name(value)
    if let entry = try open(value, key) { return .put(entry) }
    return .damaged(key: key, revision: try revision(value))
  }
}

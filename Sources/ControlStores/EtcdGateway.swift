// etcd's JSON gateway over mutual TLS: one request, one answer, at the first endpoint that serves it.
//
// What matters is what a failure means. A connection that was never made, or an answer that says so, means that nothing
// was changed, and the next endpoint is tried. A lost answer means `.unknown` for what changes something, and the next
// request goes elsewhere; what only reads goes on to the next endpoint.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix
import Threads

final class EtcdGateway: Sendable {
  private struct Transports {
    var current: any EtcdTransport
    /// Replaced, and finishing what is under way.
    var former: [Int: any EtcdTransport] = [:]
    var next = 0
    var isClosed = false
  }
  private let transports: Lock<Transports>
  let configuration: EtcdConfiguration
  /// In the order in which they are to be tried.
  private let order: Lock<[String]>

  /// Over HTTP unless another `transport` is given.
  init(
    _ configuration: EtcdConfiguration, _ transport: (any EtcdTransport)? = nil
  ) throws(ControlStoreError) {
    try Self.check(configuration.endpoints)
    self.configuration = configuration
    order = Lock(configuration.endpoints)
    let first: any EtcdTransport
    if let transport { first = transport } else { first = try EtcdHTTPTransport(configuration) }
    transports = Lock(Transports(current: first))
  }

  var transport: any EtcdTransport { transports.with { $0.current } }

  func close() async {
    let all = transports.with { state in
      defer { state.former = [:] }
      state.isClosed = true
      return Array(state.former.values) + [state.current]
    }
    for transport in all { await transport.close() }
  }

  /// Reads certificate and key again. Requests that begin later use them; what is under way has its time to end, and
  /// watches begin again. `.unavailable` once it was closed.
  func renewCertificates() async throws(ControlStoreError) {
    try await use(EtcdHTTPTransport(configuration))
  }

  func use(_ next: any EtcdTransport) async throws(ControlStoreError) {
    let number: Int? = transports.with { state in
      guard !state.isClosed else { return nil }
      state.next += 1
      state.former[state.next] = state.current
      state.current = next
      return state.next
    }
    guard let number else {
      // Nobody would ever close it.
      await next.close()
      throw ControlStoreError(.unavailable, "the control store is closed")
    }
    let grace = configuration.requestTimeout + .seconds(2)
    Task {
      try? await Task.sleep(for: grace)
      await transports.with { $0.former.removeValue(forKey: number) }?.close()
    }
  }

  var endpoints: [String] { order.with { $0 } }

  /// Requests that begin later go to these; the one that serves now stays the first, if it is among them.
  func use(_ endpoints: [String]) throws(ControlStoreError) {
    try Self.check(endpoints)
    order.with { order in
      let first = order.first.flatMap { endpoints.firstIndex(of: $0) } ?? 0
      order = endpoints.indices.map { endpoints[(first + $0) % endpoints.count] }
    }
  }

  private static func check(_ endpoints: [String]) throws(ControlStoreError) {
    guard !endpoints.isEmpty else { throw ControlStoreError(.invalid, "no endpoint of etcd is given") }
    for endpoint in endpoints where !endpoint.hasPrefix("https://") || endpoint.hasSuffix("/") {
      throw ControlStoreError(.invalid, "an endpoint of etcd is https://HOST:PORT, not \(endpoint)")
    }
  }

  private func served(_ endpoint: String) {
    order.with { order in
      guard let index = order.firstIndex(of: endpoint), index > 0 else { return }
      order = Array(order[index...] + order[..<index])
    }
  }

  /// It comes last from now on: whoever looks what became of a change asks another one.
  private func failed(_ endpoint: String) {
    order.with { order in
      if order.first == endpoint { order.append(order.removeFirst()) }
    }
  }

  /// Posts `request` to `path` and reads the whole answer. `changes` says that a lost answer leaves a doubt.
  func call<Answer: Decodable & Sendable>(
    _ path: String, _ request: some Encodable, changes: Bool
  ) async throws(ControlStoreError) -> Answer {
    let body = try Self.encode(request)
    var last: ControlStoreError?
    for endpoint in endpoints {
      do throws(ControlStoreError) {
        let bytes = try await post(endpoint + path, body, changes: changes)
        served(endpoint)
        return try Self.decode(bytes, changes: changes)
      } catch {
        switch error.code {
        case .unavailable: last = error
        // One server whose certificate has ended must not take the others along; nothing was asked of it.
        case .refused: last = last ?? error
        case .unknown:
          failed(endpoint)
          throw error
        default: throw error
        }
      }
    }
    throw last ?? ControlStoreError(.unavailable, "no endpoint of etcd answers")
  }

  /// As `call`, of one server only.
  func call<Answer: Decodable & Sendable>(
    _ path: String, _ request: some Encodable, changes: Bool, at endpoint: String
  ) async throws(ControlStoreError) -> Answer {
    try Self.decode(try await post(endpoint + path, try Self.encode(request), changes: changes), changes: changes)
  }

  private func post(_ url: String, _ body: [UInt8], changes: Bool) async throws(ControlStoreError) -> [UInt8] {
    let (status, bytes): (Int, [UInt8])
    do {
      (status, bytes) = try await transport.post(url, body)
    } catch {
      throw Self.failure(error, changes: changes)
    }
    guard status != 200 else { return bytes }
    let text = (try? JSONDecoder().decode(EtcdMessage.Failure.self, from: Data(bytes)))?.text ?? "status \(status)"
    throw Self.refusal(String(text.prefix(200)), status: status, changes: changes)
  }

  /// What an error without an answer means.
  static func failure(_ error: any Error, changes: Bool) -> ControlStoreError {
    let text = "\(error)"
    if error is NIOTooManyBytesError, !changes { return ControlStoreError(.io, "etcd's answer is too long to be one") }
    if error is CancellationError { return ControlStoreError(changes ? .unknown : .unavailable, "cancelled") }
    if text.contains("CERTIFICATE") || text.contains("certificate") {
      return ControlStoreError(.refused, "etcd and this node do not accept each other's certificates")
    }
    // A refused connection is the one error of the system that cannot come later, with the request on its way.
    let isUnsent =
      error is NIOConnectionError || (error as? HTTPClientError) == .connectTimeout
      || (error as? IOError)?.errnoCode == ECONNREFUSED
    if isUnsent || !changes { return ControlStoreError(.unavailable, "etcd does not answer") }
    return ControlStoreError(.unknown, "etcd's answer was lost; the change may have been made")
  }

  /// What etcd's own refusals mean (etcdserver/api/v3rpc/rpctypes/error.go).
  static func refusal(_ text: String, status: Int = 0, changes: Bool) -> ControlStoreError {
    if text.contains("lease not found") { return ControlStoreError(.leaseExpired, "the lease has expired") }
    if text.contains("compacted") { return ControlStoreError(.compacted, "etcd has forgotten that revision") }
    if text.contains("not supported for learner") {
      return ControlStoreError(.unavailable, "this member of etcd is a learner and does not serve yet")
    }
    if text.contains("in sync with leader") || text.contains("not enough started members")
      || text.contains("unhealthy cluster") || text.contains("too many learner")
    {
      return ControlStoreError(.busy, "etcd cannot change its members now: \(text)")
    }
    if text.contains("no leader") || text.contains("not capable") || text.contains("not started") {
      return ControlStoreError(.unavailable, "etcd has no quorum: \(text)")
    }
    if text.contains("too many requests") { return ControlStoreError(.busy, "etcd is overloaded") }
    if text.contains("timed out") || text.contains("leader changed") || text.contains("server stopped")
      || text.contains("Unavailable") || text.contains("transport") || text.contains("deadline")
    {
      return ControlStoreError(changes ? .unknown : .unavailable, "etcd: \(text)")
    }
    // A server, or a proxy before it, that failed in words of its own may have done it before.
    if status >= 500 { return ControlStoreError(changes ? .unknown : .unavailable, "etcd: \(text)") }
    return ControlStoreError(.io, "etcd refused: \(text)")
  }

  static func encode(_ request: some Encodable) throws(ControlStoreError) -> [UInt8] {
    do { return Array(try JSONEncoder().encode(request)) } catch {
      throw ControlStoreError(.invalid, "a request to etcd cannot be written: \(error)")
    }
  }

  static func decode<Answer: Decodable>(_ bytes: [UInt8], changes: Bool = false) throws(ControlStoreError) -> Answer {
    do { return try JSONDecoder().decode(Answer.self, from: Data(bytes)) } catch {
      throw ControlStoreError(changes ? .unknown : .io, "etcd's answer cannot be read; is it version 3.4 or later?")
    }
  }
}

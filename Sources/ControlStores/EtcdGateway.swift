// etcd's JSON gateway over mutual TLS: one request, one answer, at the first endpoint that serves it.
//
// What matters is what a failure means. A connection that was never made, or an answer that says so, means that nothing
// was changed, and the next endpoint is tried. A lost answer means `.unknown` for what changes something; what only reads
// goes on to the next endpoint.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import NIOSSL
import Threads

final class EtcdGateway: Sendable {
  private static let answerBytesMax = 64 << 20
  let client: HTTPClient
  let configuration: EtcdConfiguration
  /// The endpoint that served last.
  private let current = Lock(0)

  init(_ configuration: EtcdConfiguration) throws(ControlStoreError) {
    guard !configuration.endpoints.isEmpty else { throw ControlStoreError(.invalid, "no endpoint of etcd is given") }
    self.configuration = configuration
    var tls = TLSConfiguration.makeClientConfiguration()
    do {
      tls.certificateChain = try NIOSSLCertificate.fromPEMFile(configuration.certificatePath).map { .certificate($0) }
      tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: configuration.keyPath, format: .pem))
      tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(configuration.authorityPath))
      tls.minimumTLSVersion = .tlsv12
    } catch {
      throw ControlStoreError(
        .invalid, "etcd's authority, our certificate \(configuration.certificatePath) or its key cannot be read as PEM")
    }
    var http = HTTPClient.Configuration(tlsConfiguration: tls)
    http.timeout.connect = Self.amount(configuration.connectTimeout)
    http.redirectConfiguration = .disallow
    http.httpVersion = .http1Only
    // One attempt: which endpoint comes next is decided here.
    http.connectionPool.retryConnectionEstablishment = false
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: http)
  }

  func close() async { try? await client.shutdown() }

  static func amount(_ duration: Duration) -> TimeAmount {
    let (seconds, attoseconds) = duration.components
    return .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }

  /// Endpoints in the order in which they are to be tried.
  var endpoints: [String] {
    let all = configuration.endpoints
    let first = current.with { $0 }
    return all.indices.map { all[(first + $0) % all.count] }
  }

  private func served(_ endpoint: String) {
    if let index = configuration.endpoints.firstIndex(of: endpoint) { current.with { $0 = index } }
  }

  /// Posts `request` to `path` and reads the whole answer. `changes` says that a lost answer leaves a doubt.
  func call<Answer: Decodable & Sendable>(
    _ path: String, _ request: some Encodable, changes: Bool
  ) async throws(ControlStoreError) -> Answer {
    let body = try Self.encode(request)
    var last = ControlStoreError(.unavailable, "no endpoint of etcd answers")
    for endpoint in endpoints {
      do throws(ControlStoreError) {
        let bytes = try await post(endpoint + path, body, changes: changes)
        served(endpoint)
        return try Self.decode(bytes)
      } catch {
        guard error.code == .unavailable else { throw error }
        last = error
      }
    }
    throw last
  }

  private func post(_ url: String, _ body: Data, changes: Bool) async throws(ControlStoreError) -> Data {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers.add(name: "content-type", value: "application/json")
    request.body = .bytes(ByteBuffer(data: body))
    let status: Int
    let bytes: Data
    do {
      let answer = try await client.execute(request, timeout: Self.amount(configuration.requestTimeout))
      status = Int(answer.status.code)
      bytes = Data(buffer: try await answer.body.collect(upTo: Self.answerBytesMax))
    } catch {
      throw Self.failure(error, changes: changes)
    }
    guard status != 200 else { return bytes }
    let text = (try? JSONDecoder().decode(EtcdMessage.Failure.self, from: bytes))?.text ?? "status \(status)"
    throw Self.refusal(text, changes: changes)
  }

  /// What an error without an answer means.
  static func failure(_ error: any Error, changes: Bool) -> ControlStoreError {
    let text = "\(error)"
    if error is CancellationError { return ControlStoreError(changes ? .unknown : .unavailable, "cancelled") }
    if text.contains("CERTIFICATE") || text.contains("certificate") {
      return ControlStoreError(.refused, "etcd and this node do not accept each other's certificates")
    }
    let isUnsent = error is NIOConnectionError || (error as? HTTPClientError) == .connectTimeout
    if isUnsent || !changes { return ControlStoreError(.unavailable, "etcd does not answer") }
    return ControlStoreError(.unknown, "etcd's answer was lost; the change may have been made")
  }

  /// What etcd's own refusals mean (etcdserver/api/v3rpc/rpctypes/error.go).
  static func refusal(_ text: String, changes: Bool) -> ControlStoreError {
    if text.contains("lease not found") { return ControlStoreError(.leaseExpired, "the lease has expired") }
    if text.contains("compacted") { return ControlStoreError(.compacted, "etcd has forgotten that revision") }
    if text.contains("no leader") || text.contains("not capable") || text.contains("not started") {
      return ControlStoreError(.unavailable, "etcd has no quorum: \(text)")
    }
    if text.contains("too many requests") { return ControlStoreError(.busy, "etcd is overloaded") }
    if text.contains("timed out") || text.contains("leader changed") || text.contains("server stopped")
      || text.contains("Unavailable") || text.contains("transport") || text.contains("deadline")
    {
      return ControlStoreError(changes ? .unknown : .unavailable, "etcd: \(text)")
    }
    return ControlStoreError(.io, "etcd refused: \(text)")
  }

  static func encode(_ request: some Encodable) throws(ControlStoreError) -> Data {
    do { return try JSONEncoder().encode(request) } catch {
      throw ControlStoreError(.invalid, "a request to etcd cannot be written: \(error)")
    }
  }

  static func decode<Answer: Decodable>(_ bytes: Data) throws(ControlStoreError) -> Answer {
    do { return try JSONDecoder().decode(Answer.self, from: bytes) } catch {
      throw ControlStoreError(.io, "etcd's answer cannot be read; is it version 3.4 or later?")
    }
  }
}

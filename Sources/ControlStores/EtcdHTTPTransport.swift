// The transport over HTTP/1.1 and mutual TLS. One attempt for each request, answers bounded in size and time.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

struct EtcdHTTPTransport: EtcdTransport {
  private let client: HTTPClient
  private let timeout: Duration
  private let answerBytesMax: Int

  init(_ configuration: EtcdConfiguration) throws(ControlStoreError) {
    timeout = configuration.requestTimeout
    answerBytesMax = configuration.answerBytesMax
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
    // One attempt: which endpoint comes next is decided by the gateway.
    http.connectionPool.retryConnectionEstablishment = false
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: http)
  }

  func close() async { try? await client.shutdown() }

  /// The client's own deadline ends with the answer's head; a server may fall silent in the middle of the body too.
  func post(_ url: String, _ body: [UInt8]) async throws -> (status: Int, bytes: [UInt8]) {
    let request = Self.request(url, body)
    return try await withThrowingTaskGroup(of: (Int, [UInt8])?.self) { [client, timeout, answerBytesMax] group in
      group.addTask {
        let answer = try await client.execute(request, timeout: Self.amount(timeout))
        return (Int(answer.status.code), Array(try await answer.body.collect(upTo: answerBytesMax).readableBytesView))
      }
      group.addTask {
        try await Task.sleep(for: timeout + .seconds(1))
        return nil
      }
      defer { group.cancelAll() }
      guard let first = try await group.next(), let answer = first else { throw HTTPClientError.deadlineExceeded }
      return answer
    }
  }

  func follow(
    _ url: String, _ body: [UInt8], opened: (Int) throws -> Void, part: ([UInt8]) throws -> Void
  ) async throws {
    // The client's deadline ends with the answer's head: a server that takes the request and says nothing is left, one
    // that follows may be silent for as long as nothing changes.
    let answer = try await client.execute(Self.request(url, body), timeout: Self.amount(timeout))
    try opened(Int(answer.status.code))
    for try await bytes in answer.body { try part(Array(bytes.readableBytesView)) }
  }

  private static func request(_ url: String, _ body: [UInt8]) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers.add(name: "content-type", value: "application/json")
    request.body = .bytes(ByteBuffer(bytes: body))
    return request
  }

  private static func amount(_ duration: Duration) -> TimeAmount {
    let (seconds, attoseconds) = duration.components
    return .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}

// A node's two ports in this process, and a client of them: real TLS, real HTTP, certificates of the cluster.

import API
import AsyncHTTPClient
import Base
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import Node
import OpenSSL
import SigV4
import Testing
import Threads

struct EdgeAnswer: Sendable {
  var status: Int
  var headers: HTTPHeaders
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
  var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]) ?? [:] }
  /// Of `Komora-Node`.
  var node: String? { headers.first(name: "komora-node") }
  var position: String? { headers.first(name: "komora-position") }
}

final class Edge: Sendable {
  let node: NodeService
  let ports: APIServer.Ports
  private let task: Task<Void, any Error>
  private let client: HTTPClient

  init(_ node: NodeService) async throws {
    self.node = node
    let (bound, continuation) = AsyncStream.makeStream(of: APIServer.Ports.self)
    var logger = Logger(label: "edge")
    logger.logLevel = .critical
    let server = try APIServer(service: node, logger: logger) { ports in continuation.yield(ports) }
    task = Task { try await server.run() }
    var iterator = bound.makeAsyncIterator()
    ports = await iterator.next()!
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .file(node.configuration.paths.keys + "/ca.pem")
    client = HTTPClient(
      eventLoopGroupProvider: .singleton, configuration: HTTPClient.Configuration(tlsConfiguration: tls))
  }

  func close() async {
    try? await client.shutdown()
    task.cancel()
    _ = try? await task.value
  }

  // MARK: requests

  func send(
    _ method: HTTPMethod, _ path: String, token: String, fields: [(String, String)] = [], _ body: String? = nil
  ) async throws -> EdgeAnswer {
    var request = HTTPClientRequest(url: "https://127.0.0.1:\(ports.api)\(path)")
    request.method = method
    request.headers = HTTPHeaders([("authorization", "Bearer \(token)")] + fields)
    if let body { request.body = .bytes(ByteBuffer(string: body)) }
    return try await answer(request)
  }

  /// One statement.
  func sql(
    _ account: String, _ sql: String, token: String, fields: [(String, String)] = []
  ) async throws -> EdgeAnswer {
    try await pipeline(account, [sql], baton: nil, closing: true, token: token, fields: fields)
  }

  func pipeline(
    _ account: String, _ statements: [String], baton: String?, closing: Bool, token: String,
    fields: [(String, String)] = []
  ) async throws -> EdgeAnswer {
    var requests = statements.map { #"{"type":"execute","stmt":{"sql":"\#($0)"}}"# }
    if closing { requests.append(#"{"type":"close"}"#) }
    let start = baton.map { #""baton":"\#($0)","# } ?? ""
    return try await send(
      .POST, "/db/\(account)/v3/pipeline", token: token, fields: fields,
      "{\(start)\"requests\":[\(requests.joined(separator: ","))]}")
  }

  func object(
    _ method: HTTPMethod, _ path: String, _ key: NewKey, fields: [(String, String)] = [], _ body: [UInt8]? = nil
  ) async throws -> EdgeAnswer {
    try await answer(signed(method, path, key, fields, body.map { .bytes(ByteBuffer(bytes: $0)) }))
  }

  func signed(
    _ method: HTTPMethod, _ path: String, _ key: NewKey, _ fields: [(String, String)] = [],
    _ body: HTTPClientRequest.Body? = nil
  ) throws -> HTTPClientRequest {
    let host = "127.0.0.1:\(ports.s3)"
    let signer = RequestSigner(
      accessKey: key.accessKey, secret: SecretBytes(Array(key.secretKey.utf8)), region: "us-east-1")
    let own = try signer.sign(
      method: method.rawValue, target: try RequestTarget(path), fields: [(name: "host", value: host)],
      payloadHash: nil, now: node.now / 1_000_000)
    var request = HTTPClientRequest(url: "https://\(host)\(path)")
    request.method = method
    request.headers = HTTPHeaders(own.map { ($0.name, $0.value) }.filter { $0.0 != "host" } + fields)
    request.body = body
    return request
  }

  func execute(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
    try await client.execute(request, timeout: .seconds(60))
  }

  func answer(_ request: HTTPClientRequest) async throws -> EdgeAnswer {
    let response = try await execute(request)
    let body = try await response.body.collect(upTo: 64 << 20)
    return EdgeAnswer(
      status: Int(response.status.code), headers: response.headers, body: Array(body.readableBytesView))
  }
}

extension Edge {
  /// The job that `started` tells of, when it has ended.
  func end(_ started: EdgeAnswer, token: String) async throws -> [String: Any] {
    let id = try #require(started.json["id"] as? String, "\(started.status) \(started.text)")
    while true {
      let job = try await send(.GET, "/v1/jobs/\(id)", token: token).json
      let state = job["state"] as? String
      if state == "done" || state == "failed" { return job }
      try await Task.sleep(for: .milliseconds(10))
    }
  }
}

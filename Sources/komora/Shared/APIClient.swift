// The admin API under /v1, as the commands use it.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

struct APIClient: Sendable {
  let settings: ConnectionSettings
  let exchange: HTTPExchange

  init(_ settings: ConnectionSettings) throws(CommandFailure) {
    self.settings = settings
    exchange = try HTTPExchange(ca: settings.ca)
  }

  /// Runs `body` with a client and closes it behind.
  static func with<R: Sendable>(
    _ options: ConnectionOptions, _ body: (APIClient) async throws -> R
  ) async throws -> R {
    let client = try APIClient(try options.settings())
    do {
      let result = try await body(client)
      await client.exchange.close()
      return result
    } catch {
      await client.exchange.close()
      throw error
    }
  }

  func get(_ path: String) async throws(CommandFailure) -> JSONValue { try await call(.GET, path) }
  func post(_ path: String, _ body: JSONValue) async throws(CommandFailure) -> JSONValue {
    try await call(.POST, path, body)
  }
  func patch(_ path: String, _ body: JSONValue) async throws(CommandFailure) -> JSONValue {
    try await call(.PATCH, path, body)
  }
  func delete(_ path: String) async throws(CommandFailure) -> JSONValue { try await call(.DELETE, path) }

  private func call(
    _ method: HTTPMethod, _ path: String, _ body: JSONValue? = nil
  ) async throws(CommandFailure) -> JSONValue {
    let answer = try await raw(method, path, body)
    guard !answer.body.isEmpty else { return .null }
    do {
      return try JSONValue(parsing: answer.body)
    } catch {
      throw CommandFailure(.failed, "the node's answer is not JSON: check that --url names a Komora node")
    }
  }

  /// The bytes of an answer that is no JSON.
  func bytes(_ path: String, _ body: JSONValue) async throws(CommandFailure) -> [UInt8] {
    try await raw(.POST, path, body).body
  }

  func raw(
    _ method: HTTPMethod, _ path: String, _ body: JSONValue?, _ more: HTTPHeaders = [:]
  ) async throws(CommandFailure) -> HTTPAnswer {
    var headers: HTTPHeaders = ["accept": "application/json", "user-agent": "komora/\(Version.text)"]
    headers.add(contentsOf: more)
    if let token = settings.token { headers.add(name: "authorization", value: "Bearer \(token)") }
    if method == .POST { headers.add(name: "idempotency-key", value: UUID().uuidString) }
    var bytes: HTTPClientRequest.Body?
    if let body {
      headers.add(name: "content-type", value: "application/json")
      bytes = .bytes(ByteBuffer(string: body.encoded(pretty: false)))
    }
    var last = CommandFailure(.unavailable, "no node is named: give --url")
    for url in settings.urls {
      let answer: HTTPAnswer
      do {
        // The same idempotency key goes to every node, so that a second attempt does nothing twice.
        answer = try await exchange.send(method, url + path, headers: headers, body: bytes)
      } catch {
        last = HTTPExchange.failure(error, url)
        continue
      }
      if (200..<300).contains(answer.status) { return answer }
      throw Self.refusal(answer, hasToken: settings.token != nil)
    }
    throw last
  }

  /// An RFC 9457 problem as a sentence.
  static func refusal(_ answer: HTTPAnswer, hasToken: Bool) -> CommandFailure {
    let kind = CommandFailure.kind(status: answer.status)
    if answer.status == 401 {
      return CommandFailure(
        kind,
        hasToken
          ? "the node does not accept the token: give another with --token-file"
          : "the node wants a token: give one with --token-file, or run `komora dev`")
    }
    let problem = try? JSONValue(parsing: answer.body)
    let text = problem?["detail"]?.text ?? problem?["title"]?.text ?? "the node answered with status \(answer.status)"
    return CommandFailure(kind, text)
  }
}

extension String {
  /// As one segment of a path.
  var pathSegment: String {
    let allowed = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
    return addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
  }
}

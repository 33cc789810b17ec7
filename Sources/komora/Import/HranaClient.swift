// SQL over Hrana's pipeline, with retries that do nothing twice.

import API
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import SQLite

struct HranaClient: Sendable {
  let exchange: HTTPExchange
  let nodes: NodeAddresses
  /// `/db/ACCOUNT`.
  let path: String
  let token: String
  static let attemptsMax = 8

  struct SQLFailure: Error {
    var code: String
    var message: String
  }

  /// A statement as it is sent, with all rows' values one after the other.
  struct Encoded: Sendable {
    fileprivate var request: [UInt8]
    init(_ sql: String, _ rows: [[Value]] = []) { request = HranaClient.statement(sql, rows) }
  }

  /// Runs one statement; under `idempotencyKey` it happens once, however often it is sent.
  func execute(_ statement: Encoded, idempotencyKey: String?) async throws -> JSONValue {
    try await pipeline([statement], idempotencyKey: idempotencyKey, answer: 0)
  }

  /// Runs a batch of rows (``RowBatch``) as one transaction, which happens once, however often it is sent.
  func insert(_ batch: [UInt8], idempotencyKey: String) async throws {
    let body = ByteBuffer(bytes: batch)
    try await repeating { try await sendRows(body, idempotencyKey) }
  }

  /// Runs one statement on a connection that does not look at foreign keys.
  func executeWithoutForeignKeys(_ statement: Encoded) async throws -> JSONValue {
    try await pipeline([Encoded("PRAGMA foreign_keys = off"), statement], idempotencyKey: nil, answer: 1)
  }

  private func pipeline(_ statements: [Encoded], idempotencyKey: String?, answer: Int) async throws -> JSONValue {
    var text = JSONText(capacity: statements.reduce(64) { $0 + $1.request.count + 1 })
    text.raw(#"{"baton":null,"requests":["#)
    for statement in statements {
      text.raw(statement.request)
      text.raw(",")
    }
    text.raw(#"{"type":"close"}]}"#)
    let body = ByteBuffer(bytes: text.bytes)
    return try await repeating { try await send(body, idempotencyKey, answer) }
  }

  private func repeating<T>(_ work: () async throws -> T) async throws -> T {
    var attempt = 0
    while true {
      attempt += 1
      do {
        return try await work()
      } catch let failure as CommandFailure where failure.kind == .unavailable && attempt < Self.attemptsMax {
        try await Task.sleep(for: .milliseconds(min(100 << attempt, 3000)))
      } catch let failure as SQLFailure where Self.mayRepeat(failure) && attempt < Self.attemptsMax {
        try await Task.sleep(for: .milliseconds(100 << attempt))
      }
    }
  }

  static func mayRepeat(_ failure: SQLFailure) -> Bool {
    failure.code.contains("BUSY") || failure.code.contains("SNAPSHOT") || failure.code.hasPrefix("UNKNOWN")
      || failure.code == "NOT_APPLIED"
  }

  private func post(
    _ target: String, _ type: String, _ body: ByteBuffer, _ idempotencyKey: String?
  ) async throws(CommandFailure) -> HTTPAnswer {
    var headers: HTTPHeaders = ["content-type": type, "authorization": "Bearer \(token)"]
    if let idempotencyKey { headers.add(name: "idempotency-key", value: idempotencyKey) }
    let base = nodes.current
    do {
      return try await exchange.send(.POST, base + path + target, headers: headers, body: .bytes(body))
    } catch {
      nodes.leave(base)
      throw HTTPExchange.failure(error, base)
    }
  }

  private func sendRows(_ body: ByteBuffer, _ idempotencyKey: String) async throws {
    let reply = try await post("/v1/rows", "application/vnd.komora.rows", body, idempotencyKey)
    guard reply.status != 200 else { return }
    // Of a refusal that may pass, the kind says so.
    guard reply.status == 400, let error = try? JSONValue(parsing: reply.body), let code = error["code"]?.text else {
      throw APIClient.refusal(reply, hasToken: true)
    }
    throw SQLFailure(code: code, message: error["message"]?.text ?? "the rows were refused")
  }

  private func send(_ body: ByteBuffer, _ idempotencyKey: String?, _ answer: Int) async throws -> JSONValue {
    let reply = try await post("/v3/pipeline", "application/json", body, idempotencyKey)
    guard reply.status == 200 else { throw APIClient.refusal(reply, hasToken: true) }
    let results = try JSONValue(parsing: reply.body)["results"]?.list ?? []
    for result in results.prefix(answer + 1) {
      guard let error = result["error"] else { continue }
      throw SQLFailure(code: error["code"]?.text ?? "", message: error["message"]?.text ?? "the statement failed")
    }
    guard results.indices.contains(answer) else { throw CommandFailure(.failed, "the node's answer is not Hrana's") }
    return results[answer]["response"]?["result"] ?? .null
  }

  private static func statement(_ sql: String, _ rows: [[Value]]) -> [UInt8] {
    var text = JSONText(capacity: sql.utf8.count + 256)
    text.raw(#"{"type":"execute","stmt":{"want_rows":true,"sql":"#)
    text.string(sql)
    if !rows.isEmpty {
      text.raw(#","args":["#)
      var isFirst = true
      for row in rows {
        for value in row {
          if !isFirst { text.raw(",") }
          isFirst = false
          text.value(value)
        }
      }
      text.raw("]")
    }
    text.raw("}}")
    return text.bytes
  }
}

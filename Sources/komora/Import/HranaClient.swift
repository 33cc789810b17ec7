// SQL over Hrana's pipeline, with retries that do nothing twice.

import AsyncHTTPClient
import Base
import Foundation
import NIOCore
import NIOHTTP1
import SQLite
import SigV4

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

  /// Runs one statement; under `idempotencyKey` it happens once, however often it is sent.
  func execute(_ sql: String, _ rows: [[Value]] = [], idempotencyKey: String?) async throws -> JSONValue {
    try await pipeline([Self.statement(sql, rows)], idempotencyKey: idempotencyKey, answer: 0)
  }

  /// Runs one statement on a connection that does not look at foreign keys.
  func executeWithoutForeignKeys(_ sql: String, _ rows: [[Value]]) async throws -> JSONValue {
    try await pipeline(
      [Self.statement("PRAGMA foreign_keys = off", []), Self.statement(sql, rows)], idempotencyKey: nil, answer: 1)
  }

  private func pipeline(_ requests: [String], idempotencyKey: String?, answer: Int) async throws -> JSONValue {
    let body = #"{"baton":null,"requests":["# + (requests + [#"{"type":"close"}"#]).joined(separator: ",") + "]}"
    var attempt = 0
    while true {
      attempt += 1
      do {
        return try await send(body, idempotencyKey, answer)
      } catch let failure as CommandFailure where failure.kind == .unavailable && attempt < Self.attemptsMax {
        try await Task.sleep(for: .milliseconds(min(100 << attempt, 3000)))
      } catch let failure as SQLFailure where Self.mayRepeat(failure) && attempt < Self.attemptsMax {
        try await Task.sleep(for: .milliseconds(100 << attempt))
      }
    }
  }

  private static func mayRepeat(_ failure: SQLFailure) -> Bool {
    failure.code.contains("BUSY") || failure.code.contains("SNAPSHOT") || failure.code.hasPrefix("UNKNOWN")
      || failure.code == "NOT_APPLIED"
  }

  private func send(_ body: String, _ idempotencyKey: String?, _ answer: Int) async throws -> JSONValue {
    var headers: HTTPHeaders = ["content-type": "application/json", "authorization": "Bearer \(token)"]
    if let idempotencyKey { headers.add(name: "idempotency-key", value: idempotencyKey) }
    let base = nodes.current
    let reply: HTTPAnswer
    do {
      reply = try await exchange.send(
        .POST, base + path + "/v3/pipeline", headers: headers, body: .bytes(ByteBuffer(string: body)))
    } catch {
      nodes.leave(base)
      throw HTTPExchange.failure(error, base)
    }
    guard reply.status == 200 else { throw APIClient.refusal(reply, hasToken: true) }
    let results = try JSONValue(parsing: reply.body)["results"]?.list ?? []
    for result in results.prefix(answer + 1) {
      guard let error = result["error"] else { continue }
      throw SQLFailure(code: error["code"]?.text ?? "", message: error["message"]?.text ?? "the statement failed")
    }
    guard results.indices.contains(answer) else { throw CommandFailure(.failed, "the node's answer is not Hrana's") }
    return results[answer]["response"]?["result"] ?? .null
  }

  /// One request, with all rows' values one after the other.
  private static func statement(_ sql: String, _ rows: [[Value]]) -> String {
    var text = #"{"type":"execute","stmt":{"want_rows":true,"sql":"# + quoted(sql)
    if !rows.isEmpty { text += #","args":["# + rows.lazy.joined().map(json).joined(separator: ",") + "]" }
    return text + "}}"
  }

  private static func json(_ value: Value) -> String {
    switch value {
    case .null: #"{"type":"null"}"#
    case .integer(let number): #"{"type":"integer","value":"\#(number)"}"#
    case .real(let number): #"{"type":"float","value":\#(number)}"#
    case .text(let text): #"{"type":"text","value":\#(quoted(text))}"#
    case .blob(let bytes): #"{"type":"blob","base64":"\#(Base64.encode(bytes))"}"#
    }
  }

  static func quoted(_ text: String) -> String {
    var out: [UInt8] = [UInt8(ascii: "\"")]
    out.reserveCapacity(text.utf8.count + 2)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
      case 0..<0x20: out += Array("\\u00".utf8) + Array([byte].hex.utf8)
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
    return String(decoding: out, as: UTF8.self)
  }
}

// Hrana's JSON: values both ways, requests and conditions in.

import API
import Base
import Foundation
import SQLite
import Testing

@Suite struct HranaJSONTests {
  private func decoded(_ json: String) throws -> Value {
    try JSONDecoder().decode(HranaValue.self, from: Data(json.utf8)).value
  }

  private func encoded(_ value: Value) -> String {
    var json = JSONText()
    json.value(value)
    return String(decoding: json.bytes, as: UTF8.self)
  }

  @Test(
    "every kind of value comes back as it went",
    arguments: [
      Value.null, .integer(0), .integer(.max), .integer(.min), .integer(1 << 53 + 1), .real(0.1), .real(-2.5e-300),
      .real(.greatestFiniteMagnitude), .real(-0.0), .text(""), .text("дзвінок \u{1F4DE} e\u{301}"),
      .text("\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}\u{2028}"), .blob([]), .blob(Array(0...255)),
    ])
  func roundTrip(_ value: Value) throws {
    #expect(try decoded(encoded(value)) == value)
  }

  @Test("values have the form that the specification gives")
  func form() {
    #expect(encoded(.integer(-5)) == #"{"type":"integer","value":"-5"}"#)
    #expect(encoded(.real(1.5)) == #"{"type":"float","value":1.5}"#)
    #expect(encoded(.text("a\"b")) == #"{"type":"text","value":"a\"b"}"#)
    #expect(encoded(.blob([0xff, 0])) == #"{"type":"blob","base64":"/wA="}"#)
    #expect(encoded(.null) == #"{"type":"null"}"#)
    #expect(encoded(.real(.infinity)) == #"{"type":"float","value":9.0e+999}"#)
  }

  @Test("base64 without padding is read, as other servers write it")
  func unpadded() throws {
    #expect(try decoded(#"{"type":"blob","base64":"/wA"}"#) == .blob([0xff, 0]))
  }

  @Test(
    "what is not a value is refused",
    arguments: [
      #"{"type":"integer","value":5}"#, #"{"type":"integer","value":"9223372036854775808"}"#,
      #"{"type":"integer","value":"0x5"}"#, #"{"type":"float","value":"1"}"#, #"{"type":"text"}"#,
      #"{"type":"blob","base64":"*"}"#,
      #"{"type":"date","value":"x"}"#, "{}", "5", "null",
    ])
  func refused(_ json: String) {
    #expect(throws: DecodingError.self) { try decoded(json) }
  }

  @Test("a pipeline is read with defaults and with fields that are unknown here")
  func pipeline() throws {
    let json = """
      {"baton":null,"later":1,"requests":[{"type":"execute","stmt":{"sql":"SELECT ?","args":[{"type":"null"}]}},
      {"type":"batch","batch":{"steps":[{"stmt":{"sql_id":1,"want_rows":false}},
      {"condition":{"type":"and","conds":[{"type":"ok","step":0},{"type":"not","cond":{"type":"is_autocommit"}}]},
      "stmt":{"sql":"x","named_args":[{"name":"a","value":{"type":"text","value":"v"}}]}}]}},
      {"type":"store_sql","sql_id":1,"sql":"y"},{"type":"close_sql","sql_id":1},{"type":"sequence","sql":"z"},
      {"type":"describe","sql":"z"},{"type":"get_autocommit"},{"type":"close"}]}
      """
    let body = try JSONDecoder().decode(PipelineBody.self, from: Data(json.utf8))
    #expect(body.baton == nil)
    #expect(body.requests.count == 8)
    guard case .execute(let statement) = body.requests[0], case .batch(let batch) = body.requests[1] else {
      Issue.record("the requests have other types")
      return
    }
    #expect(statement.wantsRows)
    #expect(statement.arguments == [HranaValue(.null)])
    #expect(batch.steps[0].stmt.source.sqlID == 1)
    #expect(!batch.steps[0].stmt.wantsRows)
    #expect(batch.steps[1].condition == .and([.ok(0), .not(.isAutocommit)]))
    #expect(batch.steps[1].stmt.namedArguments[0].name == "a")
  }

  @Test("conditions look at results, errors and skipped steps")
  func conditions() {
    let outcomes: [StepOutcome] = [.result(StatementResult()), .error(HranaError("E", "e")), .skipped]
    func holds(_ condition: BatchCondition, autocommit: Bool = true) -> Bool {
      condition.holds(after: outcomes, isAutocommit: autocommit)
    }
    #expect(holds(.ok(0)) && !holds(.ok(1)) && !holds(.ok(2)) && !holds(.ok(3)) && !holds(.ok(-1)))
    #expect(!holds(.error(0)) && holds(.error(1)) && !holds(.error(2)) && !holds(.error(.max)))
    #expect(holds(.not(.ok(2))) && holds(.and([])) && !holds(.or([])))
    #expect(holds(.or([.ok(1), .error(1)])) && !holds(.and([.ok(0), .error(0)])))
    #expect(holds(.isAutocommit) && !holds(.isAutocommit, autocommit: false))
  }

  @Test("random changes of a pipeline never trap")
  func fuzz() {
    let seed = Array(
      """
      {"baton":"ab","requests":[{"type":"execute","stmt":{"sql":"a","args":[
      {"type":"integer","value":"-9223372036854775808"},{"type":"blob","base64":"AAA="},{"type":"float","value":1e308}],
      "want_rows":true}},{"type":"batch","batch":{"steps":[
      {"condition":{"type":"not","cond":{"type":"ok","step":0}},"stmt":{"sql":"b"}}]}}]}
      """.utf8)
    var random = SeededGenerator(seed: 3)
    var readable = 0
    for _ in 0..<4000 {
      var bytes = seed
      for _ in 0...random.below(3) {
        let at = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[at] = UInt8(random.below(256))
        case 1: bytes.remove(at: at)
        case 2: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.below(40))], at: at)
        default: bytes.removeSubrange(at..<min(bytes.count, at + random.below(20)))
        }
      }
      if (try? JSONDecoder().decode(PipelineBody.self, from: Data(bytes))) != nil { readable += 1 }
    }
    #expect(readable > 0 && readable < 4000)
  }
}

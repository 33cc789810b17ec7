// Account requests and their replies: whole again, in pieces, spoilt and too large.

import Base
import Formats
import Testing

@Suite("formats of account requests")
struct AccountRequestFormatTests {
  private let values: [AccountValue] = [
    .null, .integer(.min), .integer(7), .real(-0.5), .real(.infinity), .text(""), .text("é€𝄞"), .blob([]),
    .blob([0, 255]),
  ]

  private var questions: [AccountQuestion] {
    [
      .hello(token: "kt_x"),
      .request(
        AccountRequest(
          id: 9, deadlineMilliseconds: 30_000, account: "acme", idempotencyKey: "k",
          atLeast: LogPlace(epoch: 3, index: .max), stalenessMilliseconds: 5,
          statements: [AccountStatement("INSERT INTO t VALUES(?,?)", values), AccountStatement("")])),
      .request(AccountRequest(id: .max, deadlineMilliseconds: 0, account: "", statements: [])),
    ]
  }

  private var responses: [AccountResponse] {
    var writer = ByteWriter()
    for value in values { value.encode(to: &writer) }
    let rows = AccountResult(
      columns: values.indices.map { "c\($0)" }, rowCount: 2, rowBytes: writer.bytes + writer.bytes, affectedRows: -1,
      lastInsertRowID: 5)
    return [
      .welcome(node: NodeID(bits: 5), name: "eu-1"),
      .done(id: 1, position: LogPlace(epoch: 1, index: 2), results: [rows, AccountResult()]),
      .failed(id: 2, AccountFailure(isUnknown: true, isRetryable: false, code: "UNKNOWN", message: "é")),
      .elsewhere(id: 3, node: NodeID(bits: 6), address: "[::1]:7402"),
    ]
  }

  @Test("messages are read as they were written, in whatever pieces they arrive")
  func roundTrip() throws {
    let all = try questions.map { try $0.encode() }
    for piece in [1, 3, 10, 1 << 20] {
      var messages = AccountMessages()
      var read: [AccountQuestion] = []
      let bytes = Array(all.joined())
      for start in stride(from: 0, to: bytes.count, by: piece) {
        messages.feed(Array(bytes[start..<min(start + piece, bytes.count)]))
        while let message = try messages.next() { read.append(try AccountQuestion(decoding: message)) }
      }
      #expect(read == questions)
    }
    for response in responses {
      #expect(try AccountResponse(decoding: response.encode().dropFirst(4)) == response)
    }
  }

  @Test("rows come back as their values, and what is kept for a key is what was encoded")
  func rows() throws {
    guard case .done(let id, let position, let results) = responses[1] else { return }
    #expect(try results[0].rows() == [values, values] && results[1].rows() == [])
    let kept = AccountResponse.encode(results)
    #expect(AccountResponse.done(id: id, position: position, results: kept) == responses[1].encode())
    var many = results[0]
    many.rowCount = .max
    #expect(throws: FormatError.self) { try many.rows() }
    many.columns = []
    #expect(throws: FormatError.self) { try many.rows() }
  }

  @Test("a message that is too long for its layout is cut inside a text that nobody reads by program, or refused")
  func limits() throws {
    let long = AccountFailure(
      isUnknown: false, isRetryable: false, code: String(repeating: "é", count: 200),
      message: String(repeating: "€", count: 40_000))
    let read = try AccountResponse(decoding: AccountResponse.failed(id: 1, long).encode().dropFirst(4))
    guard case .failed(_, let cut) = read else {
      Issue.record("another message")
      return
    }
    #expect(cut.code.utf8.count == 254 && cut.message.utf8.count == 65_535)
    let name = String(repeating: "a", count: 256)
    #expect(throws: FormatError.self) {
      try AccountQuestion.request(
        AccountRequest(id: 1, deadlineMilliseconds: 1, account: name, statements: [])
      ).encode()
    }
    for head: [UInt8] in [[0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF]] {
      var messages = AccountMessages()
      messages.feed(head)
      #expect(throws: FormatError.self) { try messages.next() }
    }
  }

  @Test("spoilt messages are refused or read, and what is read is written alike")
  func fuzz() throws {
    var mutations = Mutations(seed: 3)
    let asked = try questions.map { Array(try $0.encode().dropFirst(4)) }
    let answered = responses.map { Array($0.encode().dropFirst(4)) }
    var read = 0
    for round in 0..<20_000 {
      let bytes = mutations.mutated(asked[round % asked.count])
      if let question = try? AccountQuestion(decoding: bytes[...]) {
        read += 1
        #expect(try Array(question.encode().dropFirst(4)) == bytes)
      }
      let other = mutations.mutated(answered[round % answered.count])
      if let response = try? AccountResponse(decoding: other[...]) {
        if case .done(_, _, let results) = response { for result in results { _ = try? result.rows() } }
        _ = response.encode()
      }
    }
    #expect(read > 100)
  }
}

import Backup
import Base
import SQLite
import Testing

@Suite struct RowSelectionTests {
  private func pattern(_ text: String) throws -> RowSelection.Pattern { try RowSelection([text]).patterns[0] }

  @Test("patterns say what they look like")
  func grammar() throws {
    #expect(try pattern("table:calls") == .rows(table: "calls", []))
    guard case .rows("a?b", let conditions) = try pattern("table:a%3Fb?x!=1&y~a*") else {
      throw BackupError(.failed, "")
    }
    #expect(conditions.map(\.column) == ["x", "y"] && conditions.map(\.comparison) == [.notEqual, .like])
    guard case .value(let one) = conditions[0].value else { throw BackupError(.failed, "") }
    #expect(Self.shown(one) == "1 integer(1)")
    guard case .keys("calls", let keys) = try pattern("row:calls/17,1.5..,'7',x'00fF',a%2Cb/c") else {
      throw BackupError(.failed, "")
    }
    #expect(keys.map(Self.shown) == ["17 integer(17)", "1.5 real(1.5)..", "7", "[0, 255]", "a,b/c"])
    guard case .recordings(let glob) = try pattern("recording:дзвінки/**?.wav") else { throw BackupError(.failed, "") }
    #expect(glob.tokens == [.literal("дзвінки/"), .any, .one, .literal(".wav")])
    #expect(
      try pattern("period:1970-01-01T00:00:01Z/1970-01-01T00:00:02Z") == .period(from: 1_000_000, to: 2_000_000))
  }

  private static func shown(_ literal: RowSelection.Literal) -> String {
    if let blob = literal.blob { return "\(blob)" }
    let number =
      switch literal.number {
      case .integer(let value): " integer(\(value))"
      case .real(let value): " real(\(value))"
      case nil: ""
      }
    return (literal.text ?? "") + number
  }

  private static func shown(_ key: RowSelection.Key) -> String {
    switch key {
    case .range(let from, let to): (from.map { shown($0) } ?? "") + ".." + (to.map { shown($0) } ?? "")
    case .parts(let parts):
      parts.map { part in if case .value(let value) = part { shown(value) } else { "glob" } }.joined(separator: "/")
    }
  }

  @Test(
    "what is no pattern is refused with a sentence",
    arguments: [
      "", "calls", "rows:calls", "table:", "table:?a=1", "table:a?", "table:a?b", "table:a?=1", "table:a?b=%zz",
      "row:a",
      "row:a/", "row:/1", "row:a/..", "row:a/1/2..3", "recording:", "recording:%ff", "recording:a%00",
      "period:now/then",
      "period:2026-01-02T00:00:00Z/2026-01-01T00:00:00Z", "row:a/x'0'", "recording:*a*b*c*d*e*f*g*h*i",
      "table:" + String(repeating: "a", count: 20_000),
    ])
  func refusals(text: String) {
    #expect(throws: BackupError.self) { try RowSelection([text]) }
  }

  @Test("too many patterns and too many values are refused")
  func limits() {
    #expect(throws: BackupError.self) { try RowSelection([]) }
    #expect(throws: BackupError.self) { try RowSelection([String](repeating: "table:a", count: 1_001)) }
    let many = "row:a/" + (0..<2_000).map { "\($0)" }.joined(separator: ",")
    #expect(throws: BackupError.self) { try RowSelection([String](repeating: many, count: 6)) }
  }

  @Test("no bytes make the parser or the statement that follows fail otherwise than by a refusal")
  func fuzz() throws {
    var random = SeededGenerator(seed: 12)
    let seeds = [
      "table:t?a>=1&b~x*&c!='q'", "row:t/1,2..3,x'00',*a?/b", "recording:2026/*[x].wav",
      "period:2026-01-01T00:00:00Z/2026-01-02T00:00:00.5+02:00", "row:t/'a''b'..%2E%2e", "table:t?\"a\"=1",
    ]
    let alphabet = Array("tabc?&=!<>~/.,*%'x0129:[]\"\\- \u{1F4DE}é".unicodeScalars)
    let pages = MemoryPages()
    try pages.use { connection in
      try connection.execute("CREATE TABLE t (a, b, c, PRIMARY KEY (a, b))")
      try connection.execute("INSERT INTO t VALUES (1, 'x', 2.5)")
      var parsed = 0
      for _ in 0..<20_000 {
        var scalars = Array(seeds[Int(random.next() % UInt64(seeds.count))].unicodeScalars)
        for _ in 0..<(random.next() % 6) {
          let at = Int(random.next() % UInt64(scalars.count + 1))
          switch random.next() % 3 {
          case 0: scalars.insert(alphabet[Int(random.next() % UInt64(alphabet.count))], at: at)
          case 1: if at < scalars.count { scalars.remove(at: at) }
          default: if at < scalars.count { scalars[at] = alphabet[Int(random.next() % UInt64(alphabet.count))] }
          }
        }
        var text = ""
        text.unicodeScalars.append(contentsOf: scalars)
        do {
          let selection = try RowSelection([text])
          parsed += 1
          // Whatever it says, it is one SELECT over this table or a refusal.
          _ = try RowSelectionCheck.count(selection, in: connection)
        } catch { #expect(error is BackupError, "\(text): \(error)") }
      }
      #expect(parsed > 2_000)
      #expect(try connection.query("SELECT count(*) FROM t") == [[.integer(1)]])
    }
  }
}

@Suite struct RowImageTests {
  @Test("an image gives back what it was made of, and damaged bytes give nothing or another row, never a trap")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<2_000 {
      let fields: [RowImage.Field] = (0..<Int(random.next() % 8)).map { _ in
        let bytes = (0..<Int(random.next() % 20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        switch random.next() % 5 {
        case 0: return .null
        case 1: return .integer(Int64(bitPattern: random.next()))
        case 2: return .real(random.next())
        case 3: return .text(bytes[...])
        default: return .blob(bytes[...])
        }
      }
      let bytes = RowImage(fields).bytes
      #expect(RowImage(bytes) == RowImage(fields))
      var damaged = bytes
      if !damaged.isEmpty { damaged[Int(random.next() % UInt64(damaged.count))] ^= UInt8(1 + random.next() % 255) }
      if let image = RowImage(damaged) { #expect(image.bytes == damaged) }
      if let image = RowImage(Array(bytes.dropLast())) { #expect(image.bytes == Array(bytes.dropLast())) }
    }
    #expect(RowImage([UInt8](repeating: 0, count: 2_002)) == nil)
    #expect(RowImage([3, 255, 255, 255, 255, 0]) == nil)
  }
}

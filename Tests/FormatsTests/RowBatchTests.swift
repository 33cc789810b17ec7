import Base
import Formats
import Testing

@Suite("batches of rows") struct RowBatchTests {
  enum Plain: Equatable {
    case null, integer(Int64), real(UInt64), text(String), blob([UInt8])
  }

  private let rows: [[Plain]] = [
    [.integer(0), .text("šč\u{0}😀"), .blob([0, 255])], [.integer(.min), .null, .real((-0.5).bitPattern)],
    [.integer(.max), .text(""), .blob([])], [.integer(-1), .real(Double.infinity.bitPattern), .integer(63)],
    [.integer(64), .text(String(repeating: "x", count: 300)), .integer(-65)],
  ]

  private func encoded(_ rows: [[Plain]], sql: String = "INSERT INTO t VALUES (?, ?, ?)") -> [UInt8] {
    var values = RowBatchValues()
    for value in rows.joined() {
      switch value {
      case .null: values.putNull()
      case .integer(let number): values.put(number)
      case .real(let bits): values.put(Double(bitPattern: bits))
      case .text(let text): values.put(text: Array(text.utf8).span.bytes)
      case .blob(let bytes): values.put(blob: bytes.span.bytes)
      }
    }
    return RowBatch.encode(sql: sql, columns: 3, rows: rows.count, values: values.bytes)
  }

  private func decoded(_ bytes: [UInt8]) throws -> [[Plain]] {
    let batch = try RowBatch(bytes)
    var (reader, row, rows) = (batch.reader(), [RowBatchValue](), [[Plain]]())
    while try reader.next(&row) {
      rows.append(
        row.map { value in
          switch value {
          case .null: .null
          case .integer(let number): .integer(number)
          case .real(let number): .real(number.bitPattern)
          case .text(let place): .text(String(decoding: batch.bytes[place], as: UTF8.self))
          case .blob(let place): .blob(Array(batch.bytes[place]))
          }
        })
    }
    return rows
  }

  @Test("rows of every kind of value come back as they were")
  func roundTrip() throws {
    let bytes = encoded(rows)
    let batch = try RowBatch(bytes)
    #expect(batch.sql == "INSERT INTO t VALUES (?, ?, ?)" && batch.columns == 3 && batch.rows == 5)
    #expect(try decoded(bytes) == rows)
  }

  @Test("every flipped bit and every cut is refused")
  func damage() {
    let bytes = encoded(rows)
    for bit in 0..<(bytes.count * 8) {
      var copy = bytes
      copy[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: FormatError.self, "bit \(bit)") { try RowBatch(copy) }
    }
    for count in 0..<bytes.count { #expect(throws: FormatError.self) { try RowBatch(Array(bytes.prefix(count))) } }
  }

  /// With the checksum put right, as who means harm would.
  private func resealed(_ bytes: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.put(raw: bytes.dropLast(4))
    writer.put(CRC32C.checksum(writer.bytes))
    return writer.bytes
  }

  @Test("a row too few, too many, cut short, of an unknown kind or not UTF-8 is refused")
  func hostile() throws {
    let bytes = encoded(rows)
    for (offset, value) in [(8, UInt8(4)), (8, 6), (6, 2), (6, 4), (9, 1), (7, 255), (6, 0), (8, 0)] {
      var copy = bytes
      copy[offset] = value
      #expect(throws: FormatError.self, "\(value) at \(offset)") { try decoded(resealed(copy)) }
    }
    let start = 16 + "INSERT INTO t VALUES (?, ?, ?)".utf8.count
    for (offset, value) in [(start, UInt8(5)), (start + 4, 0xFF), (start + 3, 0xFF), (start + 3, 0x7F)] {
      var copy = bytes
      copy[offset] = value
      #expect(throws: FormatError.self, "\(value) at \(offset)") { try decoded(resealed(copy)) }
    }
    // A number of 65 bits, and one that never ends.
    for last in [UInt8(2), 0x80] {
      let number = [1] + [UInt8](repeating: 0xFF, count: 9) + [last, 0, 0]
      let batch = RowBatch.encode(sql: "", columns: 3, rows: 1, values: number)
      #expect(throws: FormatError.self) { try decoded(batch) }
    }
    let largest = RowBatch.encode(
      sql: "", columns: 3, rows: 1, values: [1] + Array(repeating: 0xFF, count: 9) + [1, 0, 0])
    #expect(try decoded(largest) == [[.integer(.min), .null, .null]])
  }

  @Test("mutated batches, with and without a right checksum, are read or refused, never more")
  func fuzz() {
    var mutations = Mutations(seed: 11)
    let bytes = encoded(rows)
    for _ in 0..<20_000 {
      let mutated = mutations.mutated(bytes)
      _ = try? decoded(mutated)
      if mutated.count > 4 { _ = try? decoded(resealed(mutated)) }
    }
  }
}

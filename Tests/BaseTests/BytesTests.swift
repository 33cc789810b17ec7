// What a writer puts a reader takes; what nobody wrote is refused with its offset and never traps.

import Base
import Testing

struct BytesTests {
  @Test("a reader takes back what a writer put")
  func roundTrip() throws {
    let account = AccountID(bits: 0x0123_4567_89AB_CDEF_0011_2233_4455_6677)
    var writer = ByteWriter()
    writer.put(UInt8(7))
    writer.put(Int32(-2))
    writer.put(UInt64.max - 1)
    writer.put(raw: Array("KOMO".utf8))
    writer.put(account)
    writer.put(Checksum(bits: 42))
    writer.put(string: [1, 2, 3])
    writer.put(text: "Київ")
    var reader = ByteReader(writer.bytes)
    #expect(try reader.take(UInt8.self) == 7)
    #expect(try reader.take(Int32.self) == -2)
    #expect(try reader.take(UInt64.self) == UInt64.max - 1)
    try reader.expect(magic: "KOMO")
    #expect(try reader.take(id: AccountID.self) == account)
    #expect(try reader.takeChecksum() == Checksum(bits: 42))
    #expect(try reader.takeString(limit: 3) == [1, 2, 3])
    #expect(try reader.takeText(limit: 16) == "Київ")
    try reader.finish()
  }

  @Test("numbers are little-endian, and a patch overwrites in place")
  func byteOrder() {
    var writer = ByteWriter()
    writer.put(UInt32(0))
    writer.put(UInt16(0x0102))
    writer.patch(UInt32(0x0A0B_0C0D), at: 0)
    #expect(writer.bytes == [0x0D, 0x0C, 0x0B, 0x0A, 2, 1])
  }

  @Test("a reader of a slice counts offsets from the slice's start")
  func slices() throws {
    var reader = ByteReader([9, 9, 1, 0, 2][2...])
    #expect(try reader.take(UInt16.self) == 1)
    #expect(reader.offset == 2)
    #expect(throws: BytesError("ends early: 2 bytes wanted, 1 left", at: 2)) { try reader.take(UInt16.self) }
    #expect(throws: BytesError("1 bytes too many", at: 2)) { try reader.finish() }
  }

  @Test("a length over the limit, a foreign magic, text that is no UTF-8 and a negative length are refused")
  func refusals() {
    var long = ByteReader([5, 0, 0, 0, 1, 2, 3, 4, 5])
    #expect(throws: BytesError("length 5 is over the limit of 4", at: 0)) { try long.takeString(limit: 4) }
    var foreign = ByteReader(Array("RIFF".utf8))
    #expect(throws: BytesError("not a KOMO layout", at: 0)) { try foreign.expect(magic: "KOMO") }
    var text = ByteReader([2, 0, 0, 0, 0xC3, 0x28])
    #expect(throws: BytesError("text is not UTF-8", at: 0)) { try text.takeText(limit: 10) }
    var negative = ByteReader([1])
    #expect(throws: BytesError.self) { try negative.take(raw: -1) }
  }

  @Test("no bytes make a reader trap or go beyond the end", arguments: 0..<3000)
  func fuzz(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let bytes = (0..<generator.below(60)).map { _ in
      generator.oneIn(3) ? UInt8(generator.below(4)) : UInt8(truncatingIfNeeded: generator.next())
    }
    var reader = ByteReader(bytes)
    var refused = false
    for _ in 0..<20 {
      let before = reader.offset
      do throws(BytesError) {
        switch generator.below(8) {
        case 0: _ = try reader.take(UInt8.self)
        case 1: _ = try reader.take(Int64.self)
        case 2: _ = try reader.take(UInt128.self)
        case 3: _ = try reader.take(raw: generator.below(40) - 2)
        case 4: _ = try reader.take(id: RecordingID.self)
        case 5: _ = try reader.takeString(limit: generator.below(30))
        case 6: _ = try reader.takeText(limit: 30)
        default: try reader.expect(magic: "KOMO")
        }
        #expect(reader.offset >= before && reader.remaining >= 0)
      } catch {
        refused = true
        #expect(error.offset >= 0 && error.offset <= bytes.count)
      }
      #expect(reader.offset + reader.remaining == bytes.count)
    }
    // 20 takes want more than 60 bytes hold.
    #expect(refused || bytes.count > 40)
  }
}

import Base
import Formats
import Testing

@Suite struct VerifyCursorTests {
  private var cursor: VerifyCursor {
    var cursor = VerifyCursor(account: AccountID(bits: 7))
    (cursor.begun, cursor.pack, cursor.offset, cursor.chunks) = (5, PackID(bits: 9), 44, 100)
    (cursor.bytes, cursor.damaged, cursor.sampleAt) = (1 << 40, 1, .max)
    (cursor.lastBegun, cursor.lastEnded) = (1, 4)
    return cursor
  }

  @Test("a cursor comes back as it was; every flipped bit and every cut is noticed")
  func roundTrip() throws {
    let bytes = cursor.encode()
    #expect(bytes.count == VerifyCursor.byteCount)
    #expect(try VerifyCursor(bytes) == cursor)
    for bit in 0..<(bytes.count * 8) {
      var copy = bytes
      copy[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect((try? VerifyCursor(copy)) == nil, "bit \(bit)")
    }
    for count in 0..<bytes.count { #expect((try? VerifyCursor(Array(bytes.prefix(count)))) == nil) }
  }

  @Test("random bytes never trap")
  func fuzz() {
    var mutations = Mutations(seed: 6)
    for _ in 0..<5000 { _ = try? VerifyCursor(mutations.mutated(cursor.encode())) }
  }
}

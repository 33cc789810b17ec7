import Base
import Formats
import Testing

@Suite struct RestoreProgressTests {
  private var progress: RestoreProgress {
    var progress = RestoreProgress(
      account: AccountID(bits: 0xB), binding: (0..<32).map { UInt8($0) }, step: .recordings, pages: 77,
      note: Array("note".utf8))
    (progress.rows, progress.listBytes, progress.fileBytes) = (5, 600, 1 << 20)
    progress.volumes = [.init(number: 1, end: 1 << 33), .init(number: 3, end: 64)]
    return progress
  }

  @Test("a restore's progress comes back as it was")
  func roundTrip() throws {
    #expect(try RestoreProgress(progress.encode()) == progress)
    let first = RestoreProgress(
      account: AccountID(bits: 0), binding: [UInt8](repeating: 9, count: 32), step: .pages, pages: 0)
    #expect(try RestoreProgress(first.encode()) == first)
  }

  @Test("every flipped bit and every cut of it is noticed")
  func flips() {
    let bytes = progress.encode()
    for bit in 0..<(bytes.count * 8) {
      var copy = bytes
      copy[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect((try? RestoreProgress(copy)) == nil, "bit \(bit)")
    }
    for count in 0..<bytes.count { #expect((try? RestoreProgress(Array(bytes.prefix(count)))) == nil) }
  }

  @Test("random bytes never trap, and a count of volumes that is not there is refused before anything is allocated")
  func fuzz() {
    var mutations = Mutations(seed: 4)
    for _ in 0..<5000 { _ = try? RestoreProgress(mutations.mutated(progress.encode())) }
    var huge = progress.encode()
    for i in 84..<88 { huge[i] = 0xFF }
    #expect((try? RestoreProgress(huge)) == nil)
  }
}

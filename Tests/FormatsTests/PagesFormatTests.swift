import Base
import Formats
import Testing

@Suite struct PagesFormatTests {
  private func page(_ random: inout SeededGenerator) -> [UInt8] {
    (0..<Limits.pageBytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  @Test("a difference turns its base into the page, whatever changed")
  func difference() throws {
    var random = SeededGenerator(seed: 2)
    for round in 0..<300 {
      let base = page(&random)
      var next = base
      for _ in 0..<random.below(round + 1) {
        let start = random.below(Limits.pageBytes)
        for i in start..<min(Limits.pageBytes, start + 1 + random.below(200)) {
          next[i] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      let difference = PageDifference(from: base, to: next)
      #expect(difference.applied(to: base) == next)
      #expect(try PageDifference(runs: difference.runs) == difference)
      #expect(difference.runs.count <= Limits.pageBytes + Limits.pageBytes / 8)
    }
  }

  @Test("a payload of pages comes back as it was written")
  func payload() throws {
    var random = SeededGenerator(seed: 3)
    let (a, b) = (page(&random), page(&random))
    let payload = PagesPayload(
      databasePages: 12,
      changes: [
        PageChange(number: 1, hash: 5, base: 0, difference: PageDifference(from: PageChange.zeros, to: a)),
        PageChange(number: 9, hash: 6, base: 4, difference: PageDifference(from: a, to: b)),
      ])
    #expect(try PagesPayload(payload.encode()) == payload)
  }

  @Test("mutated layouts are refused or read, and never trap")
  func fuzz() {
    var random = SeededGenerator(seed: 4)
    var mutations = Mutations(seed: 5)
    let (a, b) = (page(&random), page(&random))
    let payload = PagesPayload(
      databasePages: 3,
      changes: [
        PageChange(number: 2, hash: 5, base: 1, difference: PageDifference(from: a, to: b)),
        PageChange(number: 3, hash: 6, base: 0, difference: PageDifference(from: PageChange.zeros, to: b)),
      ]
    ).encode()
    let frame = LogBlock.encodeGroup([payload], generation: 1, group: 0)
    var refused = 0
    for _ in 0..<4000 {
      if (try? PagesPayload(mutations.mutated(payload))) == nil { refused += 1 }
      if (try? RecordHeader(mutations.mutated(Array(payload.prefix(104)))[...])) == nil { refused += 1 }
      if (try? LogFileHeader(mutations.mutated(Array(frame.prefix(512))))) == nil { refused += 1 }
      if (try? SegmentHeader(mutations.mutated(Array(frame.prefix(64))))) == nil { refused += 1 }
      if (try? RedoSlot(mutations.mutated(Array(frame.prefix(512))))) == nil { refused += 1 }
      if (try? PageKeysFile(mutations.mutated(Array(frame.prefix(512))))) == nil { refused += 1 }
      if (try? VolumeEntry.decode(mutations.mutated(VolumeEntry.encode(Array(frame.prefix(300)))))) == nil {
        refused += 1
      }
      if let difference = try? PageDifference(runs: mutations.mutated(PageDifference(from: a, to: b).runs)) {
        #expect(difference.applied(to: a).count == Limits.pageBytes)
      }
    }
    #expect(refused > 20_000)
  }
}

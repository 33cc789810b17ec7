// What readers may be told of a standby's age, while its engine is still applying.

import Base
import Formats
import Node
import Replication
import Testing

@Suite("how fresh a standby is")
struct ShardFreshnessTests {
  static func word(_ seconds: Int, _ index: LogIndex) -> ReplicaFreshness {
    ReplicaFreshness(asOf: Instant(nanoseconds: Int64(seconds) * 1_000_000_000), index: index)
  }

  // Found by the checkers on real nodes: a standby that caught up under load said that it was current, and showed rows
  // that were three seconds older.
  @Test("a standby's word counts once the engine shows what the word is about")
  func untilApplied() {
    var freshness = ShardFreshness()
    freshness.hear(Self.word(10, 450))
    #expect(freshness.word(published: 449) == nil)
    #expect(freshness.word(published: 450) == Self.word(10, 450))
    freshness.hear(Self.word(11, 470))
    #expect(freshness.word(published: 460) == Self.word(10, 450))
    freshness.hear(Self.word(12, 470))
    #expect(freshness.word(published: 475) == Self.word(12, 470))
  }

  @Test("a word that is older than one that is known changes nothing")
  func older() {
    var freshness = ShardFreshness()
    freshness.hear(Self.word(10, 5))
    freshness.hear(Self.word(9, 4))
    #expect(freshness.told == [Self.word(10, 5)])
    #expect(freshness.word(published: 5) == Self.word(10, 5))
    freshness.hear(Self.word(10, 5))
    #expect(freshness.told.isEmpty)
  }

  @Test("while nobody reads, the oldest words and the newest are kept")
  func many() {
    var freshness = ShardFreshness()
    for second in 1...200 { freshness.hear(Self.word(second, LogIndex(second))) }
    #expect(freshness.told.count == ShardFreshness.wordsMax)
    #expect(freshness.word(published: 20) == Self.word(20, 20))
    #expect(freshness.word(published: 199) == Self.word(31, 31))
    #expect(freshness.word(published: 200) == Self.word(200, 200))
  }

  @Test("of a replica that shows less than it did no word is left")
  func lost() {
    var freshness = ShardFreshness()
    freshness.hear(Self.word(10, 5))
    #expect(freshness.word(published: 7) != nil)
    #expect(freshness.word(published: 3) == nil)
    freshness.hear(nil)
    #expect(freshness == ShardFreshness())
  }
}

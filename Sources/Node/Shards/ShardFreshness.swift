// How fresh a standby is for its readers: the words that its primary gave, as far as the engine shows what they are about.
//
// The machine learns that everything before a moment lies at or before an index. Until the engine has applied and
// published that index, which it does on threads of its own, readers do not see it, and the word says nothing of what they
// see: under a catch-up that may last for seconds.

package import Base
import Formats
package import Replication

package struct ShardFreshness: Sendable, Equatable {
  package static let wordsMax = 32

  /// The freshest word that readers may rely on.
  package private(set) var shown: ReplicaFreshness?
  /// Words that wait for the engine, the oldest first.
  package private(set) var told: [ReplicaFreshness] = []

  package init() {}

  /// What the machine knows now; nil when it knows nothing any more.
  package mutating func hear(_ word: ReplicaFreshness?) {
    guard let word else { return self = ShardFreshness() }
    guard word.asOf > (told.last ?? shown)?.asOf ?? Instant.distantPast else { return }
    // Many wait when nobody reads. The oldest are due first, the newest is worth most.
    if told.count == Self.wordsMax { told.removeLast() }
    told.append(word)
  }

  /// The freshest word for readers who see everything up to `published`, now or later.
  package mutating func word(published: LogIndex) -> ReplicaFreshness? {
    if let last = told.lastIndex(where: { $0.index <= published }) {
      shown = told[last]
      told.removeFirst(last + 1)
    }
    return shown.flatMap { $0.index <= published ? $0 : nil }
  }
}

extension Instant {
  fileprivate static var distantPast: Instant { Instant(nanoseconds: .min) }
}

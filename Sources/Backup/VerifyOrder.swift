// What is to be verified of an archive, how much of it, and what came of it.

package import Base
package import Formats
import OpenSSL
import Threads

package struct VerifyOrder: Sendable {
  package enum Which: Sendable, Equatable {
    case newest, all
    case one(SnapshotID)
  }

  package var which = Which.newest
  /// The part of the chunks that is read, above 0 and at most 1.
  package var sample = 1.0
  /// It ends after so long, and says how far it came.
  package var seconds: Double?
  /// Or after so many bytes of packs.
  package var bytes: UInt64?
  /// Every chunk is decoded, also those that a proof covers.
  package var decodes = false
  /// Every moment that the archive promises is made, in memory, as a restore would make it.
  package var moments = false
  /// Where the next run finds what this one has not read; nil for a run that stands for itself.
  package var cursor: String?
  package var cancel = CancelFlag()
  /// Where a sample without a cursor begins.
  package var random: UInt64

  package init() {
    var random = SystemRandom()
    self.random = random.next()
  }

  /// Proofs spare decoding where somebody waits for everything to be read. A part is one of many, which together decode
  /// every chunk once, so that whoever relies on it does not rely on older proofs for ever.
  var usesProofs: Bool { !isPart && !decodes }
  /// Parts are read by schedules, at the idle processor's expense; for the whole somebody waits.
  var priority: ThreadPriority { isPart ? .idle : BackupWork.priority }

  package var isPart: Bool { sample < 1 || seconds != nil || bytes != nil }

  /// `.refused` with what is wrong.
  package func check() throws(BackupError) {
    guard sample > 0, sample <= 1 else {
      throw BackupError(.refused, "a sample is above 0 and at most 100 percent of the chunks")
    }
    guard seconds.map({ $0 > 0 }) ?? true, bytes.map({ $0 > 0 }) ?? true else {
      throw BackupError(.refused, "a budget is a time or a number of bytes above 0")
    }
  }
}

/// What a verification of one archive looked at.
package struct VerifySummary: Sendable, Equatable {
  package var account: AccountID
  package var snapshots: Int
  /// That the snapshots name and that are not erased, each once.
  package var chunksAll: UInt64 = 0
  package var bytesAll: UInt64 = 0
  /// Of those, chosen for this run: the sample, from where the last run ended.
  package var chunksChosen: UInt64 = 0
  /// That were read, and opened, which authenticates each of their bytes, or found damaged.
  package var chunks: UInt64 = 0
  /// Of these, decoded and compared with their names now.
  package var chunksDecoded: UInt64 = 0
  /// The others: a proof says that these very frames were decoded before. Damaged ones are not among them.
  package var chunksProvenEarlier: UInt64 = 0
  /// When these were: the time of the oldest proof that covers any of them; nil when there are no others.
  package var provenAt: UnixMicroseconds?
  package var bytes: UInt64 = 0
  package var damaged: UInt64 = 0
  /// Recordings whose keys were destroyed.
  package var erased = 0
  /// Everything that was chosen was read; false when the budget ended before.
  package var isComplete = true
  /// SQLite looked at all databases now.
  package var isDatabaseChecked = false
  /// SQLite looked at each database now or, over the same bytes, when it was proven.
  package var isDatabaseProven = false
  /// Moments that were made, each the last before a snapshot or the end of the log.
  package var moments = 0
  package var cursor: VerifyCursor?

  /// The part of all chunks that this run read.
  package var fraction: Double { chunksAll == 0 ? 1 : Double(chunks) / Double(chunksAll) }
  /// How likely it is that one damaged chunk, anywhere, was not among them.
  package var missProbability: Double { max(0, 1 - fraction) }
}

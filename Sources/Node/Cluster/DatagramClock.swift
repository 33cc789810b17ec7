// What a start must know about the run before it, so that nothing that was heard then is heard again: datagrams carry
// their sender's clock, and a node forgets with its process which ones it has heard.
//
// The newest clock that was heard is kept on the disk, rarely and ahead. A start that can see that time has only gone
// on (same boot of the machine, wall clock not behind where it would be) needs none of it; one whose clock was set back,
// or whose machine was started anew, hears nothing from before what is kept. What was heard counts, not the own clock:
// one that was wrong for a while heard nobody.

package import Base

package struct DatagramClock: Sendable, Equatable {
  static let ahead: UnixMicroseconds = 30_000_000
  /// Clocks are slewed: so far behind is not set back.
  static let slack: Int64 = 100_000

  /// Nothing newer was heard.
  package var reserved: UnixMicroseconds
  /// The wall clock's lead over the machine's own clock, in microseconds.
  package var lead: Int64
  /// Names the boot of the machine.
  package var boot: String

  /// What to keep when `newest` was heard; nil while what is kept reaches. As long as it reaches it stays as it is, lead
  /// and boot too: it was heard under those.
  package static func next(
    after former: DatagramClock?, newest: UnixMicroseconds, lead: Int64, boot: String
  ) -> DatagramClock? {
    guard newest > 0, newest + ahead / 2 > former?.reserved ?? 0 else { return nil }
    return DatagramClock(reserved: newest + ahead, lead: lead, boot: boot)
  }

  package init(reserved: UnixMicroseconds, lead: Int64, boot: String) {
    (self.reserved, self.lead, self.boot) = (reserved, lead, boot)
  }

  /// From when on a start hears; 0 is from its own start on.
  package func notBefore(lead now: Int64, boot: String) -> UnixMicroseconds {
    boot == self.boot && !boot.isEmpty && now >= lead - Self.slack ? 0 : reserved
  }

  // MARK: the file

  package var text: String { "\(reserved) \(lead) \(boot)\n" }

  /// Nil for what `text` never gives.
  package init?(text: String) {
    let words = text.split(separator: "\n", omittingEmptySubsequences: false).first?.split(
      separator: " ", omittingEmptySubsequences: false)
    guard let words, words.count == 3, let reserved = UnixMicroseconds(words[0]), let lead = Int64(words[1]) else {
      return nil
    }
    self.init(reserved: reserved, lead: lead, boot: String(words[2]))
  }
}

// One key that a configuration may have: its place, its kind, its default, what it is for.

package struct ConfigurationKey: Sendable {
  package enum Kind: Sendable, Equatable {
    case text
    case texts
    case boolean
    /// A whole number in this range, without a unit: counts only.
    case count(ClosedRange<Int>)
    case duration
    /// A duration, or `profile` for the one that goes with another key.
    case optionalDuration
    case size
    case timeOfDay
    case address
    case choice([String])
  }

  package var section: String
  package var name: String
  package var kind: Kind
  /// As it would stand in the file; nil where there is none.
  package var standard: String?
  package var help: String

  package var path: String { "\(section).\(name)" }
  /// `KOMORA_TIMERS_SNAPSHOT_FROM`.
  package var variable: String { "KOMORA_\(section)_\(name)".uppercased() }

  init(_ path: String, _ kind: Kind, _ standard: String?, _ help: String) {
    let parts = path.split(separator: ".")
    section = String(parts[0])
    name = String(parts[1])
    self.kind = kind
    self.standard = standard
    self.help = help
  }
}

/// A value that fits its key's kind.
enum ConfigurationValue: Sendable, Equatable {
  case text(String)
  case texts([String])
  case boolean(Bool)
  /// A count, bytes, or minutes after midnight.
  case number(Int)
  case duration(Duration)
  case address(ListenAddress)
}

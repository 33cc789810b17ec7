// The sequences of one sender that were heard, as far back as is worth remembering.
//
// Sequences follow a clock and are sparse, so the window keeps the numbers themselves, sorted, instead of a bitmap. What
// is not above its floor is refused.

struct ReplayWindow {
  /// Datagrams that may overtake each other.
  static let size = 256

  private(set) var floor: UInt64
  private var heard: [UInt64] = []

  /// The newest that was heard.
  var newest: UInt64 { heard.last ?? floor }

  init(floor: UInt64) { self.floor = floor }

  /// Nil when it is heard for the first time; then it is remembered.
  mutating func admit(_ sequence: UInt64) -> DatagramRefusal? {
    guard sequence > floor else { return .tooOld }
    // Nearly always the newest.
    var place = heard.count
    while place > 0, heard[place - 1] > sequence { place -= 1 }
    if place > 0, heard[place - 1] == sequence { return .replayed }
    if heard.count == Self.size {
      if place == 0 { return .tooOld }
      floor = heard.removeFirst()
      place -= 1
    }
    heard.insert(sequence, at: place)
    return nil
  }
}

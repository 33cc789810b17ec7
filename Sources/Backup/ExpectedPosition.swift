// A position that a snapshot must have reached, from a receipt: `<epoch>.<index>` or `<epoch>.<index>.<checksum>`.
//
// Archive files cannot tell that a newer manifest was taken away from beside them; only something kept elsewhere can.

public import Base

public struct ExpectedPosition: Sendable, Equatable {
  public var epoch: Epoch
  public var index: LogIndex
  public var checksum: Checksum?

  public init(epoch: Epoch, index: LogIndex, checksum: Checksum? = nil) {
    self.epoch = epoch
    self.index = index
    self.checksum = checksum
  }

  /// Nil for anything that is not written like a position.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3, let epoch = Epoch(parts[0]), let index = LogIndex(parts[1]) else {
      return nil
    }
    self.init(epoch: epoch, index: index)
    if parts.count == 3 {
      guard let bits = UInt128(parts[2], radix: 16) else { return nil }
      checksum = Checksum(bits: bits)
    }
  }

  /// Whether a snapshot at `position` holds everything up to here.
  public func isCovered(by position: Position) -> Bool {
    if position.epoch == epoch, position.index == index { return checksum == nil || checksum == position.checksum }
    return (position.epoch, position.index) > (epoch, index)
  }
}

// The words for things that have a name: accounts, recordings, snapshots, places in a log.
//
// An opaque id is 128 random bits, written as 32 lower-case hexadecimal digits. It names a directory or an object and
// says nothing about its owner. A position is a place in one account's log and proves what lies before it, because its
// checksum runs over the chain of all records up to it.

/// 128 random bits with a type of their own.
public protocol OpaqueID: Hashable, Comparable, Sendable, CustomStringConvertible {
  var bits: UInt128 { get }
  init(bits: UInt128)
}

extension OpaqueID {
  /// Draws an id from `generator`, which the caller chose: a cryptographic one live, a seeded one in tests.
  public init(from generator: inout some RandomNumberGenerator) {
    self.init(bits: UInt128(generator.next()) << 64 | UInt128(generator.next()))
  }

  /// Reads 32 lower-case hexadecimal digits; nil for anything else.
  public init?(_ text: String) {
    guard text.utf8.count == 32, let bytes = [UInt8](hex: text) else { return nil }
    self.init(bytes: bytes)
  }

  /// 16 bytes, big-endian, so that text, bytes and number sort alike. Traps on another length.
  @inlinable public init(bytes: some Collection<UInt8>) {
    precondition(bytes.count == 16, "an opaque id has 16 bytes")
    self.init(bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
  }

  @inlinable public var bytes: [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 16) { buffer, used in
      for i in 0..<16 { unsafe buffer[i] = UInt8(truncatingIfNeeded: bits >> UInt128(120 - 8 * i)) }
      used = 16
    }
  }
  public var description: String { bytes.hex }
  public static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }
}

/// A business account: one shard.
public struct AccountID: OpaqueID {
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) { (high, low) = halves(bits) }
  public var bits: UInt128 { whole(high, low) }
}

/// One stored recording of one account; its key in the keyring has the same id.
public struct RecordingID: OpaqueID {
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) { (high, low) = halves(bits) }
  public var bits: UInt128 { whole(high, low) }
}

/// One snapshot of one account.
public struct SnapshotID: OpaqueID {
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) { (high, low) = halves(bits) }
  public var bits: UInt128 { whole(high, low) }
}

/// One archive export of one account.
public struct ExportID: OpaqueID {
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) { (high, low) = halves(bits) }
  public var bits: UInt128 { whole(high, low) }
}

/// One node; drawn once and kept on its disk, so that a node which lost its disk is another node.
public struct NodeID: OpaqueID {
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) { (high, low) = halves(bits) }
  public var bits: UInt128 { whole(high, low) }
}

/// Ownership of a shard: only one primary writes in an epoch. 0 is before the first.
public typealias Epoch = UInt64

/// Place of a record in a shard's log, from 1. 0 is before the first.
public typealias LogIndex = UInt64

/// Number of a page in a database, from 1 as in SQLite.
public typealias PageNumber = UInt32

/// Microseconds since 1970-01-01 UTC. Shown and compared with retention; it never orders data.
public typealias UnixMicroseconds = Int64

/// The first 16 bytes of a SHA-256 over a record and the checksum before it.
public struct Checksum: Hashable, Sendable, CustomStringConvertible {
  private let high: UInt64
  private let low: UInt64
  public init(bits: UInt128) { (high, low) = halves(bits) }
  public var bits: UInt128 { whole(high, low) }
  public static let zero = Checksum(bits: 0)
  public var description: String { String(bits, radix: 16) }
}

/// A place in one account's log. `epoch` and `index` order positions; equal ones must have equal checksums.
public struct Position: Hashable, Sendable, CustomStringConvertible {
  public var epoch: Epoch
  public var index: LogIndex
  public var checksum: Checksum

  public init(epoch: Epoch, index: LogIndex, checksum: Checksum) {
    self.epoch = epoch
    self.index = index
    self.checksum = checksum
  }

  public static let start = Position(epoch: 0, index: 0, checksum: .zero)
  /// `<epoch>.<index>`, as clients see it in `Komora-Position`.
  public var description: String { "\(epoch).\(index)" }
}

// Two words instead of one UInt128: the compiler misplaces values that want 16-byte alignment when they cross a
// suspension in an async function's frame (swiftc 6.3.1, debug).
private func halves(_ bits: UInt128) -> (UInt64, UInt64) {
  (UInt64(truncatingIfNeeded: bits >> 64), UInt64(truncatingIfNeeded: bits))
}

private func whole(_ high: UInt64, _ low: UInt64) -> UInt128 { UInt128(high) << 64 | UInt128(low) }

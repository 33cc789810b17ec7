// One operation that a test sees before a disk carries it out, and what it may make of it.

public import Disk

public struct DiskOperation: Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable, CaseIterable {
    /// `create` is an open that makes the file; `open` one that finds it.
    case open, read, write, sync, truncate, create, makeDirectory, rename, remove, removeDirectory, syncDirectory

    /// Whether it changes what is on the disk or what is durable.
    public var changes: Bool { self != .open && self != .read }
  }

  public var kind: Kind
  /// For a rename the new name.
  public var path: String
  /// Number of this among the operations that change something, from 1; reads and opens carry that of the last one.
  public var index: Int

  public var description: String { "\(index) \(kind.rawValue) \(path)" }
}

public enum DiskFault: Sendable {
  /// When a machine stops: `middle` leaves the first half of a write in the cache, else it is as `before`.
  public enum Moment: Sendable, CaseIterable { case before, middle, after }

  case proceed
  /// Nothing is done. A failed sync also drops what it should have made durable.
  case fail(DiskError.Code)
  /// Half of a write is done; anything else fails as `fail`.
  case failHalf(DiskError.Code)
  /// The machine (forgetful disk) or the process (faulty disk) ends here.
  case stop(Moment)
}

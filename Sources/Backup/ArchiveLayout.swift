// Where things lie in one account's archive: plain files that ordinary tools can copy.
//
//   <archive>/<account id>/keyring                                  the keyring's current state
//                          packs/<pack id>.kpak                     chunks
//                          manifests/<created µs>-<snapshot>.kman   one snapshot each, written last
//                          manifests/<created µs>-<snapshot>.kman.proof
//                          log/<first index>.klrg                   runs of published records
//                          exports/<export id>/                     archives for the client
//
// A name that ends in ".new" is not finished and belongs to nobody; its writer died.

public import Base
import Disk
public import Formats

public struct ArchiveLayout: Sendable, Equatable {
  public let account: AccountID
  /// The account's own directory.
  public let directory: String

  public init(root: String, account: AccountID) {
    self.init(directory: "\(root)/\(account)", account: account)
  }

  public init(directory: String, account: AccountID) {
    self.account = account
    self.directory = directory
  }

  public static let unfinishedSuffix = ".new"
  public static let packSuffix = ".kpak"
  public static let manifestSuffix = ".kman"
  public static let proofSuffix = ".proof"

  /// From the archive's root down.
  var directories: [String] { [parentDirectory(of: directory) ?? ".", directory, packs, manifests] }

  public var packs: String { "\(directory)/packs" }
  public var manifests: String { "\(directory)/manifests" }
  public var log: String { "\(directory)/log" }
  public var exports: String { "\(directory)/exports" }
  public var keyring: String { "\(directory)/keyring" }

  public func pack(_ id: PackID) -> String { "\(packs)/\(id)\(Self.packSuffix)" }

  public func logRun(first: LogIndex) -> String { "\(log)/\(LogRunHeader.fileName(first: first))" }

  public func manifest(_ snapshot: SnapshotID, createdAt: UnixMicroseconds) -> String {
    // Sixteen digits until the year 2286, so that names sort by time.
    let digits = String(createdAt)
    let padded = String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    return "\(manifests)/\(padded)-\(snapshot)\(Self.manifestSuffix)"
  }

  /// Nil when `name` is not the name of a finished pack.
  static func packID(ofFile name: String) -> PackID? {
    name.hasSuffix(packSuffix) ? PackID(String(name.dropLast(packSuffix.count))) : nil
  }

  /// Nil when `name` is not the name of a manifest.
  static func snapshotID(ofFile name: String) -> SnapshotID? {
    guard name.hasSuffix(manifestSuffix), let dash = name.lastIndex(of: "-") else { return nil }
    return SnapshotID(String(name[name.index(after: dash)...].dropLast(manifestSuffix.count)))
  }
}

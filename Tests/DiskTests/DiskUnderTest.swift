// The disks that share one contract, each with an empty directory to work in.

import Base
import Disk
import Simulator
import Testing

enum DiskUnderTest: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case real, realDirect, forgetful, faulty

  var testDescription: String { rawValue }

  /// Runs `body` with a disk and a directory, and takes the directory away again.
  func with(_ body: (any Disk, String) throws -> Void) throws {
    switch self {
    case .real, .realDirect:
      try TemporaryDirectory.with { try body(RealDisk(), $0) }
    case .forgetful:
      let disk = ForgetfulDisk(seed: 1)
      try disk.makeDirectory("/data")
      try body(disk, "/data")
    case .faulty:
      let disk = FaultyDisk(ForgetfulDisk(seed: 1), FaultPlan.counting())
      try disk.makeDirectory("/data")
      try body(disk, "/data")
    }
  }

  var direct: Bool { self == .realDirect }
}

enum TemporaryDirectory {
  /// A new directory below `TMPDIR`, removed with all that is in it.
  static func with(_ body: (String) throws -> Void) throws {
    var random = SystemRandomNumberGenerator()
    let base = environment("TMPDIR") ?? "/tmp"
    let path = "\(base)/komora-disk-\(AccountID(from: &random))"
    let disk = RealDisk()
    try disk.makeDirectory(path)
    defer { try? removeAll(path, disk) }
    try body(path)
  }

  static func removeAll(_ path: String, _ disk: some Disk) throws {
    for name in try disk.list(path) {
      let inner = "\(path)/\(name)"
      if try disk.info(inner)?.isDirectory == true { try removeAll(inner, disk) } else { try disk.remove(inner) }
    }
    try disk.removeDirectory(path)
  }
}

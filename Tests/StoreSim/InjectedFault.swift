// A disk that breaks under a running engine: which operations fail, how often, and for how long the disk is full.

import Base
import Disk
import Simulator

enum InjectedFault: CaseIterable {
  case logSync, logWrite, logCreate, segmentSync, segmentWrite, segmentCreate, pagesWrite, pagesSync, keysSync
  case redoWrite, redoSync, keyringWrite, keyringSync, volumeWrite, volumeSync, directorySync, rename, fullDisk

  /// The word of the totals.
  var family: String {
    switch self {
    case .logSync, .logWrite, .logCreate: "fault log"
    case .segmentSync, .segmentWrite, .segmentCreate: "fault segment"
    case .pagesWrite, .pagesSync, .keysSync: "fault pages"
    case .redoWrite, .redoSync: "fault redo"
    case .keyringWrite, .keyringSync: "fault keyring"
    case .volumeWrite, .volumeSync: "fault volume"
    case .directorySync, .rename: "fault names"
    case .fullDisk: "fault full disk"
    }
  }

  private var target: (kind: DiskOperation.Kind, suffix: String) {
    switch self {
    case .logSync: (.sync, ".klog")
    case .logWrite: (.write, ".klog")
    case .logCreate: (.create, ".klog")
    case .segmentSync: (.sync, ".kseg")
    case .segmentWrite: (.write, ".kseg")
    case .segmentCreate: (.create, ".kseg")
    case .pagesWrite: (.write, "pages.kpgs")
    case .pagesSync: (.sync, "pages.kpgs")
    case .keysSync: (.sync, "pages.keys.new")
    case .redoWrite: (.write, "redo.krdo")
    case .redoSync: (.sync, "redo.krdo")
    case .keyringWrite: (.write, "keyring")
    case .keyringSync: (.sync, "keyring")
    case .volumeWrite: (.write, ".kvol")
    case .volumeSync: (.sync, ".kvol")
    case .directorySync: (.syncDirectory, "")
    case .rename: (.rename, "")
    case .fullDisk: (.write, "")
    }
  }

  func inject(into disk: ForgetfulDisk, using random: inout SeededGenerator) {
    if self == .fullDisk {
      disk.capacityBytes = 1 << 40
      let used = (1 << 40) - Int((try? disk.freeBytes("/")) ?? 0)
      disk.capacityBytes = used + random.below(24) * 4096
      return
    }
    let suffix = target.suffix
    disk.fail(target.kind, nth: 1 + random.below(3), times: 1 + random.below(2), random.oneIn(5) ? .full : .io) {
      $0.hasSuffix(suffix)
    }
  }

  static func heal(_ disk: ForgetfulDisk) {
    disk.heal()
    disk.capacityBytes = nil
  }
}

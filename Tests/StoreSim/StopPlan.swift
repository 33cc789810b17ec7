// Where the machine of one life stops: at the n-th operation of a kind that matters, before, in the middle or after it.

import Base
import Simulator

struct StopPlan: CustomStringConvertible {
  enum Place: String, CaseIterable {
    case logWrite = "a log write"
    case logSync = "a log sync"
    case logCreate = "a new log file"
    case segmentWrite = "a segment write"
    case segmentSync = "a segment sync"
    case segmentCreate = "a new segment"
    case pagesWrite = "a page write"
    case pagesSync = "a sync of the pages"
    case keysReplace = "a new page key"
    case redoWrite = "a redo slot's write"
    case redoSync = "a redo slot's sync"
    case volumeWrite = "a chunk's write"
    case volumeSync = "a volume's sync"
    case keyringWrite = "a keyring's write"
    case keyringSync = "a keyring's sync"
    case directorySync = "a directory's sync"
    case rename = "a rename"
    case anything = "any operation"

    func matches(_ operation: DiskOperation) -> Bool {
      let path = operation.path
      func on(_ kind: DiskOperation.Kind, _ suffix: String) -> Bool { operation.kind == kind && path.hasSuffix(suffix) }
      return switch self {
      case .logWrite: on(.write, ".klog")
      case .logSync: on(.sync, ".klog")
      case .logCreate: on(.create, ".klog")
      case .segmentWrite: on(.write, ".kseg")
      case .segmentSync: on(.sync, ".kseg")
      case .segmentCreate: on(.create, ".kseg")
      case .pagesWrite: on(.write, "pages.kpgs")
      case .pagesSync: on(.sync, "pages.kpgs")
      case .keysReplace: path.contains("pages.keys") && operation.kind.changes
      case .redoWrite: on(.write, "redo.krdo")
      case .redoSync: on(.sync, "redo.krdo")
      case .volumeWrite: on(.write, ".kvol")
      case .volumeSync: on(.sync, ".kvol")
      case .keyringWrite: on(.write, "keyring")
      case .keyringSync: on(.sync, "keyring")
      case .directorySync: operation.kind == .syncDirectory
      case .rename: operation.kind == .rename
      case .anything: operation.kind.changes
      }
    }
  }

  var place: Place
  var nth: Int
  var moment: DiskFault.Moment
  var seen = 0

  init(using random: inout SeededGenerator) {
    place = Place.allCases[random.below(Place.allCases.count)]
    // The log is where promises are made: a third of all stops.
    if random.oneIn(3) { place = random.oneIn(2) ? .logSync : .logWrite }
    let most =
      switch place {
      case .anything: 150
      case .logWrite, .logSync: 24
      case .pagesWrite: 12
      case .directorySync, .segmentWrite, .segmentSync: 6
      default: 3
      }
    nth = 1 + random.below(most)
    moment = DiskFault.Moment.allCases[random.below(3)]
  }

  /// True when this operation is the one.
  mutating func isReached(by operation: DiskOperation) -> Bool {
    guard place.matches(operation) else { return false }
    seen += 1
    return seen == nth
  }

  var description: String { "stop \(moment) \(place.rawValue) number \(nth)" }
}

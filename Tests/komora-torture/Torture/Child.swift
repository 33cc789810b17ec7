// One run of a story in a process of its own, with one fault at its n-th place. Lines go to standard output, each whole
// before the story goes on: a pipe keeps them when the process is killed.

import Disk
import Glibc
import Simulator
import Threads

package enum FaultMode: String, CaseIterable, Sendable {
  case killBefore, killMiddle, killAfter
  /// The operation fails once; the engine goes on.
  case failOnce, fullOnce, halfOnce
  /// It fails, and so does everything that changes something from then on.
  case failForever, fullForever
  case count

  var isKill: Bool { self == .killBefore || self == .killMiddle || self == .killAfter }
  var isForever: Bool { self == .failForever || self == .fullForever }

  var fault: DiskFault {
    switch self {
    case .killBefore: .stop(.before)
    case .killMiddle: .stop(.middle)
    case .killAfter: .stop(.after)
    case .failOnce, .failForever: .fail(.io)
    case .fullOnce, .fullForever: .fail(.full)
    case .halfOnce: .failHalf(.full)
    case .count: .proceed
    }
  }

  /// Kinds at which the fault makes sense.
  var kinds: Set<DiskOperation.Kind> {
    switch self {
    case .killMiddle, .halfOnce: [.write]
    case .fullOnce, .fullForever: [.write, .sync, .truncate, .create, .makeDirectory, .rename]
    default: Set(DiskOperation.Kind.allCases.filter(\.changes))
    }
  }

  static let kills: [FaultMode] = [.killBefore, .killMiddle, .killAfter]
  static let failures: [FaultMode] = [.failOnce, .fullOnce, .halfOnce, .failForever, .fullForever]
}

enum Child {
  static func run(_ scenario: Scenario, directory: String, mode: FaultMode, nth: Int) async {
    let plan =
      mode == .count
      ? FaultPlan.counting(pathClass: Scenario.pathClass)
      : FaultPlan(
        mode.fault, at: nth, of: mode.kinds, times: mode.isForever ? 1 << 40 : 1, pathClass: Scenario.pathClass)
    let disk = FaultyDisk(RealDisk(), plan, onStop: { kill(getpid(), SIGKILL) })
    await scenario.run(directory, disk: disk) { line in tell(line) }
    if plan.fired { tell("fired") }
    for line in plan.listing { tell("place \(line.split(separator: " ").last!) \(line.prefix { $0 != ":" })") }
    fflush(nil)
    // Without closing anything: what was not asked for is not done.
    _exit(0)
  }

  static func tell(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    var done = 0
    while done < bytes.count {
      let n = bytes[done...].withUnsafeBytes { write(1, $0.baseAddress!, $0.count) }
      if n > 0 { done += n } else if errno != EINTR { _exit(9) }
    }
  }
}

// Keeps the clock of the datagrams over restarts; see `DatagramClock`.

import Base
import Disk
import Fabric
import Foundation
import Logging
import Threads
import UVLoop

extension ClusterService {
  private static let clockPeriod = Duration.seconds(5)

  private var clockPath: String { configuration.paths.data + "/clock" }

  /// Before the first datagram is sent or heard.
  func takeDatagramClock() async {
    do {
      let (stored, boot) = try await storedClock()
      if let stored { await endpoint.use(notBefore: stored.notBefore(lead: Self.lead, boot: boot)) }
    } catch {
      // It guards against replays after the wall clock was set back; no reason not to start.
      logger.warning("clock of the former run not known", metadata: ["reason": "\(error)"])
    }
  }

  private func storedClock() async throws -> (DatagramClock?, boot: String) {
    let path = clockPath
    return try await blocking {
      let disk = RealDisk()
      guard try disk.info(path) != nil else { return (nil, Self.boot) }
      let text = String(decoding: try disk.readAll(path, limit: 256), as: UTF8.self)
      guard let clock = DatagramClock(text: text) else { throw NodeError(.io, "\(path) does not hold a clock") }
      return (clock, Self.boot)
    }
  }

  func keepDatagramClock() async {
    let path = clockPath
    let stored = try? await storedClock()
    var kept = stored?.0
    let boot = stored?.boot ?? ""
    while !Task.isCancelled {
      let newest = await endpoint.newestHeard
      if let next = DatagramClock.next(after: kept, newest: newest, lead: Self.lead, boot: boot) {
        do {
          try await blocking { try RealDisk().replaceFile(path, Array(next.text.utf8)) }
          kept = next
        } catch {
          logger.warning("clock not written", metadata: ["reason": "\(error)"])
        }
      }
      try? await Task.sleep(for: Self.clockPeriod)
    }
  }

  /// Empty where the system does not say; then every start counts as one after a boot.
  private static var boot: String {
    let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    return text?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
  }

  private static var lead: Int64 { UVLoop.unixMicroseconds() - Int64(clamping: UVLoop.bootNanoseconds() / 1000) }
}

// The loop that keeps copies of archives outside of the cluster: of each account that this node leads, its own archive
// under a prefix of its own.
//
//   <prefix>/<node id>/<account id>/…     as in the archive's directory; a restore can start from <prefix>/<node id>
//
// Two nodes' archives of one account are different files, so they never share a prefix. What expired here goes there
// only behind a round of upkeep that has read back what stays (NodeService+Upkeep).

package import Base
import Disk
import Logging
package import OffSite
import OpenSSL
import Threads

/// What the loop keeps between its rounds.
final class OffSiteCopying: Sendable {
  struct State {
    var task: Task<Void, Never>?
    var store: S3ObjectStore?
    var copies: [AccountID: OffSiteCopy] = [:]
    /// Of accounts whose upkeep has proven what stays and let go of the rest: what that border was.
    var borders: [AccountID: UnixMicroseconds] = [:]
    var failing: Set<AccountID> = []
    var isStoreFailing = false
    /// The storage did not answer in this round.
    var isUnreachable = false
  }
  let state = Lock(State())
  let wanted: NodeConfiguration.OffSite
  let pool = WorkPool(name: "off-site", threads: 2, priority: .nice(10))

  init(_ wanted: NodeConfiguration.OffSite) { self.wanted = wanted }
}

extension NodeService {
  func startOffSite() {
    guard let offSite else { return }
    let period = configuration.timers.offSitePeriod
    let task = Task {
      while !Task.isCancelled {
        try? await Task.sleep(for: period)
        if !Task.isCancelled { await self.copyOffSite() }
      }
    }
    offSite.state.with { $0.task = task }
  }

  func stopOffSite() async {
    guard let offSite else { return }
    let (task, store) = offSite.state.with { s in
      defer { (s.task, s.store, s.copies) = (nil, nil, [:]) }
      return (s.task, s.store)
    }
    task?.cancel()
    await task?.value
    await store?.close()
    offSite.pool.stop()
  }

  /// One round over the accounts that this node leads, one after the other. Gives what was done, by account.
  @discardableResult
  package func copyOffSite() async -> [AccountID: OffSiteReport] {
    guard let offSite, let store = await store(offSite) else { return [:] }
    var reports: [AccountID: OffSiteReport] = [:]
    for account in accounts() where account.isActive && leads(account) {
      if Task.isCancelled { break }
      if let report = await copy(account.id, to: store, offSite) { reports[account.id] = report }
    }
    // Its name may mean another address by now: the next round looks it up, and checks it, again.
    let isLost = offSite.state.with { s in
      guard s.isUnreachable else { return false }
      (s.store, s.copies, s.isUnreachable) = (nil, [:], false)
      return true
    }
    if isLost { await store.close() }
    return reports
  }

  /// Says that the archive's upkeep has just proven what stays.
  func noteLetGo(_ account: AccountID, _ border: UnixMicroseconds) {
    offSite?.state.with { $0.borders[account] = border }
  }

  private func store(_ offSite: OffSiteCopying) async -> S3ObjectStore? {
    let wanted = offSite.wanted
    if let store = offSite.state.with({ $0.store }) { return store }
    do {
      let secret = try await offSite.pool.perform { try Self.secret(wanted.secretFile) }
      let store = try await S3ObjectStore.open(
        wanted.target, S3Credentials(accessKey: wanted.accessKey, secret: secret), policy: wanted.policy,
        ca: wanted.authority, pool: offSite.pool)
      offSite.state.with { ($0.store, $0.isStoreFailing) = (store, false) }
      return store
    } catch {
      let isNews = offSite.state.with { s in
        defer { s.isStoreFailing = true }
        return !s.isStoreFailing
      }
      metrics.counter("komora_offsite_copies_total", [("outcome", "failed")]).increment()
      if isNews, !Task.isCancelled {
        Logger(label: "off-site").error("no off-site copies are made", metadata: ["reason": "\(error)"])
      }
      return nil
    }
  }

  private static func secret(_ path: String) throws -> SecretBytes {
    var bytes = try RealDisk().open(path, .read).read(4096, at: 0)
    while let last = bytes.last, last == 10 || last == 13 || last == 32 { bytes.removeLast() }
    guard !bytes.isEmpty else {
      throw OffSiteError(.invalid, "\(path) is empty: put the off-site storage's secret key into it")
    }
    return SecretBytes(bytes)
  }

  private func copy(
    _ account: AccountID, to store: S3ObjectStore, _ offSite: OffSiteCopying
  ) async -> OffSiteReport? {
    let wanted = offSite.wanted
    let directory = "\(configuration.paths.archive)/\(account)"
    do {
      guard try await offSite.pool.perform({ try RealDisk().info(directory + "/keyring") }) != nil else { return nil }
      let options = OffSiteOptions(
        partBytes: wanted.partBytes, lock: wanted.lock,
        windowMicroseconds: configuration.timers.retention.wholeMicroseconds)
      let prefix = wanted.target.key("\(nodeID)/\(account)/")
      let (copy, border) = offSite.state.with { s in
        let copy =
          s.copies[account]
          ?? OffSiteCopy(
            disk: RealDisk(), directory: directory, store: store, prefix: prefix, options: options, pool: offSite.pool)
        s.copies[account] = copy
        return (copy, s.borders[account])
      }
      let report = try await copy.run(now: clock.now, border: border)
      offSite.state.with { s in
        s.failing.remove(account)
        if s.borders[account] == border, report.lockedFiles == 0 { s.borders[account] = nil }
      }
      metrics.counter("komora_offsite_copies_total", [("outcome", "done")]).increment()
      metrics.counter("komora_offsite_bytes_total").increment(by: Int(clamping: report.copiedBytes))
      return report
    } catch {
      metrics.counter("komora_offsite_copies_total", [("outcome", "failed")]).increment()
      let isNews = offSite.state.with { s in
        if (error as? OffSiteError)?.code == .unavailable { s.isUnreachable = true }
        return s.failing.insert(account).inserted
      }
      guard isNews, !Task.isCancelled else { return nil }
      Logger(label: "off-site").error(
        "an archive is not copied off site; tried again in a moment",
        metadata: ["account": "\(account)", "reason": "\(error)"])
      return nil
    }
  }
}

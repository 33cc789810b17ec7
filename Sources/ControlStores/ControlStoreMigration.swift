// Moves the content of the embedded store of one node to the store of a cluster, and can be repeated after any end.
//
// The order makes it safe. First the file refuses changes, so there is one truth throughout. Then a marker in the
// target says whose content comes; without it the target must be empty, so two clusters never mix. Every put is
// conditional: an entry is made where there is none, or replaced at the revision that was looked at. When everything
// was read back and found equal, the marker says complete, and only then the file is marked as moved. A rerun begins at
// the beginning and finds done what was done.
//
// Values are opened by the one store and sealed by the other. Not for a target in use: nobody else writes to it before
// `run` has returned.

import Base
import Foundation
import OpenSSL
import Threads

package struct ControlStoreMigration: Sendable {
  package struct Report: Sendable, Equatable {
    /// Entries moved, over all runs.
    package var entries: Int
    /// SHA-256 of keys and values, each behind its length, in order.
    package var hash: [UInt8]
    /// Puts that this run made; the others had been made before.
    package var puts: Int
  }

  /// In the target; stays there as the proof of what was moved.
  package static let markerKey = "move/embedded"
  private static let operationsMax = 64
  private static let bytesMax = 512 << 10

  private struct Marker: Codable, Equatable {
    enum State: String, Codable { case begun, complete }
    var version = 1
    var state: State
    /// Of the embedded store.
    var source: String
    var count: Int
    var hash: String
  }

  private let source: EmbeddedControlStore
  private let target: any ControlStore
  private let targetName: String

  /// `source` comes from `EmbeddedControlStore.resumingMove`, or is open and in use, and then takes no more changes.
  /// `targetName` names the target in the words to an operator who starts the node on the old file.
  package init(from source: EmbeddedControlStore, to target: any ControlStore, named targetName: String) {
    self.source = source
    self.target = target
    self.targetName = targetName
  }

  /// `.refused` when the target holds something else. Anything else may be tried again, also by another process.
  package func run() async throws(ControlStoreError) -> Report {
    let identity = try await onDisk { source throws(ControlStoreError) in try source.moveIdentity().hex }
    // Looked at before the file refuses changes: a wrong target leaves everything as it was.
    let seen = try await look(identity)
    let targetName = targetName
    let entries = try await onDisk { source throws(ControlStoreError) in
      try source.beginMove(to: targetName)
      return try source.movableEntries()
    }
    var report = Report(entries: entries.count, hash: Self.hash(entries), puts: 0)
    let wanted = Marker(state: .begun, source: identity, count: entries.count, hash: report.hash.hex)
    if seen.marker?.state != .complete {
      let begun = try await begin(wanted, seen)
      report.puts = try await copy(entries)
      try await verify(entries)
      var complete = wanted
      complete.state = .complete
      try await put(complete, at: begun)
    } else if seen.marker?.count != wanted.count || seen.marker?.hash != wanted.hash {
      throw ControlStoreError(
        .refused,
        "\(targetName) was moved to from this control store before, with other content: \(source.path) is an older copy"
      )
    }
    try await onDisk { source throws(ControlStoreError) in try source.completeMove(to: targetName) }
    return report
  }

  /// Runs `body` on a thread that may block.
  private func onDisk<T: Sendable>(
    _ body: @escaping @Sendable (EmbeddedControlStore) throws(ControlStoreError) -> T
  ) async throws(ControlStoreError) -> T {
    let source = source
    let result = await withCheckedContinuation { (done: CheckedContinuation<Result<T, ControlStoreError>, Never>) in
      _ = Threads.Thread(name: "move") {
        do throws(ControlStoreError) {
          done.resume(returning: .success(try body(source)))
        } catch {
          done.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  // MARK: the marker

  private func look(_ identity: String) async throws(ControlStoreError) -> (marker: Marker?, revision: ControlRevision)
  {
    let foreign = ControlStoreError(
      .refused, "\(targetName) holds the data of another cluster: give an empty one, or another prefix")
    let stored: ControlEntry?
    do throws(ControlStoreError) {
      stored = try await target.entry(Self.markerKey)
      if stored == nil {
        let range = try await target.entries(prefix: "", limit: 1)
        // What another cluster's key has sealed does not open.
        guard range.entries.isEmpty, range.damaged.isEmpty else { throw foreign }
      }
    } catch {
      throw error.code == .damaged ? foreign : error
    }
    guard let stored else { return (nil, 0) }
    guard let marker = try? JSONDecoder().decode(Marker.self, from: Data(stored.value)), marker.version == 1,
      marker.source == identity
    else { throw foreign }
    return (marker, stored.revision)
  }

  private func begin(
    _ wanted: Marker, _ seen: (marker: Marker?, revision: ControlRevision)
  ) async throws(ControlStoreError) -> ControlRevision {
    seen.marker == wanted ? seen.revision : try await put(wanted, at: seen.revision)
  }

  @discardableResult
  private func put(_ marker: Marker, at revision: ControlRevision) async throws(ControlStoreError) -> ControlRevision {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let value = try? encoder.encode(marker) else {
      throw ControlStoreError(.invalid, "the marker of a move cannot be written")
    }
    let outcome = try await target.transact(
      if: [ControlCondition(Self.markerKey, at: revision)], then: [.put(Self.markerKey, Array(value))], lease: nil)
    guard outcome.succeeded else { throw Self.disturbed }
    return outcome.revision
  }

  private static let disturbed = ControlStoreError(
    .busy, "somebody else changes the control store that is being moved to: end that, then run this again")

  // MARK: entries

  /// Gives how many puts were made.
  private func copy(_ entries: [ControlEntry]) async throws(ControlStoreError) -> Int {
    var (puts, first) = (0, 0)
    while first < entries.count {
      var (end, bytes) = (first, 0)
      while end < entries.count, end - first < Self.operationsMax {
        bytes += entries[end].value.count + entries[end].key.utf8.count + 64
        if end > first, bytes > Self.bytesMax { break }
        end += 1
      }
      let batch = Array(entries[first..<end])
      let outcome = try await target.transact(
        if: batch.map { .absent($0.key) }, then: batch.map { .put($0.key, $0.value) }, lease: nil)
      puts += outcome.succeeded ? batch.count : try await complete(batch)
      first = end
    }
    return puts
  }

  /// A batch of which something is there already.
  private func complete(_ batch: [ControlEntry]) async throws(ControlStoreError) -> Int {
    var puts = 0
    for entry in batch {
      let there = try await target.entry(entry.key)
      guard there?.value != entry.value else { continue }
      let outcome = try await target.transact(
        if: [ControlCondition(entry.key, at: there?.revision ?? 0)], then: [.put(entry.key, entry.value)], lease: nil)
      guard outcome.succeeded else { throw Self.disturbed }
      puts += 1
    }
    return puts
  }

  /// Everything is read back, and nothing else is there.
  private func verify(_ entries: [ControlEntry]) async throws(ControlStoreError) {
    let range = try await target.entries(prefix: "", limit: entries.count + 2)
    let stored = range.entries.filter { $0.key != Self.markerKey }
    let known = Set(entries.map(\.key))
    if let extra = range.damaged.first ?? stored.map(\.key).first(where: { !known.contains($0) }) {
      throw ControlStoreError(
        .refused,
        "\(targetName) holds \(extra), which is not of this control store: give an empty one, or another prefix")
    }
    guard stored.map(\.key) == entries.map(\.key), stored.map(\.value) == entries.map(\.value) else {
      throw Self.disturbed
    }
  }

  private static func hash(_ entries: [ControlEntry]) -> [UInt8] {
    var writer = ByteWriter()
    for entry in entries {
      writer.put(text: entry.key)
      writer.put(UInt64(entry.value.count))
      writer.put(raw: entry.value)
    }
    return SHA256.hash(writer.bytes)
  }
}

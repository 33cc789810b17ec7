// A word that is written everywhere must be found nowhere on the disk; with sealing off the same search must find it.

import AtRest
import Backup
import Base
import ControlStores
import Disk
import Formats
import Glibc
import SQLite
import ShardStore
import Threads

package struct Canary: Sendable {
  package struct Outcome: Sendable {
    package var passed = 0
    package var failed = 0
    package var lines: [String] = []

    mutating func expect(_ holds: Bool, _ what: String) {
      if holds {
        passed += 1
      } else {
        failed += 1
        lines.append("FAILED: \(what)")
      }
    }
  }

  static let word = "kanarienvogel-7f3c9e5b1d-Zwitschert"
  /// Kinds of files that must hold it when nothing is sealed.
  static let wanted = ["klog", "kseg", "kpgs", "kvol", "tmp"]

  package init() {}

  package func run() async -> Outcome {
    var outcome = Outcome()
    do {
      try selfTest(&outcome)
      for sealed in [true, false] {
        let directory = Folder.make(below: Folder.slow)
        defer { Folder.remove(directory) }
        try await write(directory, sealed: sealed)
        if sealed { try writeControl(directory) }
        judge(try search(directory), sealed: sealed, &outcome)
      }
    } catch { outcome.expect(false, "\(error)") }
    return outcome
  }

  /// The search finds the word in each guise, behind any number of other bytes.
  private func selfTest(_ outcome: inout Outcome) throws {
    let search = CanarySearch(Self.word)
    let plain = Array(Self.word.utf8)
    for shift in 0..<6 {
      let padding = [UInt8](repeating: 0x41, count: shift)
      let text = padding + plain + padding
      var frames = 0
      let packed = [1, 2, 3] + Zstd.compress(text + text) + [9]
      outcome.expect(search.search(text, frames: &frames).contains("utf-8"), "the search misses UTF-8")
      outcome.expect(search.search(packed, frames: &frames).contains("zstd/utf-8"), "the search misses zstd")
      let coded = search.search(CanarySearch.base64(text), frames: &frames)
      outcome.expect(
        !coded.isDisjoint(with: ["base64+0", "base64+1", "base64+2"]), "the search misses base64+\(shift)")
    }
  }

  private func write(_ directory: String, sealed: Bool) async throws {
    var configuration = EngineConfiguration(directory: directory, node: NodeID(bits: 1))
    configuration.logFileBytes = 256 << 10
    configuration.logFilesMax = 64
    configuration.segmentBytes = 128 << 10
    if !sealed { configuration.plantedBugs = .sealingOff }
    let driver = try Driver(configuration, disk: RealDisk(), kek: TestKey(1)) { _ in }
    let engine = driver.engine
    let id = Content.account(1)
    try driver.create(1)
    let word = Self.word
    try submit(driver, id) { connection in
      try connection.executeScript("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
      for i in 0..<2_000 {
        let text = "\(i * 7_919 % 2_000) \(word) " + String(repeating: "\(i) so sang er ", count: 60)
        try connection.execute("INSERT INTO notes (text) VALUES (?)", .text(text))
      }
      try connection.execute("INSERT INTO komora_meta VALUES (?, ?)", .text("setting"), .text("greeting=\(word)"))
    }
    let upload = try engine.uploadNow(id)
    try upload.appendNow(Array("RIFF \(word) WAVE".utf8))
    let stored = try upload.finishNow()
    try submit(driver, id) { connection in
      try RecordingCatalog.put(
        connection, key: "calls/\(word).wav", stored, contentType: "audio/\(word)", metadata: "{\"who\":\"\(word)\"}",
        at: 1)
    }
    try spill(engine, id, configuration, directory)
    driver.checkpoint(1)
    driver.split()
    driver.checkpoint(1)
    if sealed {
      let archive = AccountArchive(
        disk: RealDisk(), layout: ArchiveLayout(root: Scenario.archive(directory), account: id))
      _ = try await archive.createSnapshot(of: engine, kind: .manual)
    }
    try submit(driver, id) { try $0.execute("INSERT INTO notes (text) VALUES (?)", .text("the last \(word)")) }
  }

  private func submit(_ driver: Driver, _ id: AccountID, _ body: @escaping @Sendable (Connection) throws -> Void) throws
  {
    let outcome = Lock<Result<Void, any Error>?>(nil)
    driver.engine.submit(id, body) { result in outcome.with { $0 = result.map { _ in } } }
    driver.pump()
    try outcome.with { $0 }?.get()
  }

  /// A sort that does not fit into memory; its files are copied while they are there.
  private func spill(_ engine: Engine, _ id: AccountID, _ configuration: EngineConfiguration, _ directory: String)
    throws
  {
    let copies = directory + "/spilled"
    try RealDisk().makeDirectory(copies)
    _ = try engine.readNow(id) { connection in
      let sql = "SELECT text FROM notes ORDER BY substr(text, 5) DESC"
      guard let statement = try connection.prepare(sql).statement else { return }
      var row = 0
      while try statement.step() {
        row += 1
        guard row % 500 == 1 else { continue }
        for name in try RealDisk().list(configuration.temporaryDirectory) {
          let bytes = try RealDisk().readAll("\(configuration.temporaryDirectory)/\(name)", limit: 1 << 30)
          try RealDisk().replaceFile("\(copies)/\(row)-\(name)", bytes)
        }
      }
    }
  }

  private func writeControl(_ directory: String) throws {
    let store = try EmbeddedControlStore(path: directory + "/control.db", kek: TestKey(1))
    _ = try store.transaction(then: [
      .put("accounts/0001", Array("{\"name\":\"\(Self.word)\"}".utf8)),
      .put("settings/greeting", Array(Self.word.utf8)),
    ])
    store.close()
  }

  struct Hits {
    var files = 0
    var bytes = 0
    var frames = 0
    var kinds: [String: Int] = [:]
    /// Guises by kind of file.
    var found: [String: Set<String>] = [:]
  }

  private func search(_ directory: String) throws -> Hits {
    var hits = Hits()
    try visit(directory, CanarySearch(Self.word), &hits)
    return hits
  }

  private func visit(_ path: String, _ search: CanarySearch, _ hits: inout Hits) throws {
    for name in try RealDisk().list(path) {
      let child = "\(path)/\(name)"
      if try RealDisk().info(child)?.isDirectory == true {
        try visit(child, search, &hits)
        continue
      }
      let bytes = try RealDisk().readAll(child, limit: 1 << 30)
      let kind = Scenario.pathClass(child)
      hits.files += 1
      hits.bytes += bytes.count
      hits.kinds[kind, default: 0] += 1
      let found = search.search(bytes, frames: &hits.frames).union(
        search.search(Array(name.utf8), frames: &hits.frames))
      if !found.isEmpty { hits.found[kind, default: []].formUnion(found) }
    }
  }

  private func judge(_ hits: Hits, sealed: Bool, _ outcome: inout Outcome) {
    let kinds = hits.kinds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    outcome.lines.append(
      "\(sealed ? "sealed" : "sealing off"): searched \(hits.bytes) bytes in \(hits.files) files (\(kinds)), "
        + "\(hits.frames) zstd frames opened")
    for kind in Self.wanted { outcome.expect((hits.kinds[kind] ?? 0) > 0, "no file of kind \(kind) was searched") }
    if sealed {
      for kind in ["kpak", "kman", "keyring", "db"] {
        outcome.expect((hits.kinds[kind] ?? 0) > 0, "no file of kind \(kind) was searched")
      }
      for (kind, guises) in hits.found { outcome.expect(false, "found in \(kind): \(guises.sorted())") }
      outcome.expect(hits.found.isEmpty, "the word lies on the disk")
    } else {
      for kind in Self.wanted {
        outcome.expect(hits.found[kind] != nil, "with sealing off the search does not find it in \(kind)")
      }
      let text = hits.found.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.sorted())" }.joined(separator: "; ")
      outcome.lines.append("sealing off: found in \(text)")
    }
  }
}

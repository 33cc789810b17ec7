// What a control store promises: revisions that compare, values that nobody reads or moves, a key that can be changed.

import AtRest
import Base
import ControlStores
import Foundation
import SQLite
import Testing

@Suite("embedded control store")
struct EmbeddedControlStoreTests {
  let directory = TemporaryDirectory()
  let kek: FileKeyEncryption
  var path: String { directory.path + "/control.sqlite" }

  init() throws { kek = try FileKeyEncryption(path: directory.path + "/kek", creating: true) }

  private func open() throws -> EmbeddedControlStore { try EmbeddedControlStore(path: path, kek: kek) }

  @Test("a value comes back with the revision of its last put, also after a restart")
  func putAndGet() throws {
    let store = try open()
    #expect(try store.transaction(then: [.put("a/1", [1]), .put("a/2", [2])]).revision == 1)
    #expect(try store.transaction(then: [.put("a/2", [3])]).revision == 2)
    store.close()
    let again = try open()
    #expect(try again.get("a/1") == ControlEntry(key: "a/1", value: [1], revision: 1))
    #expect(try again.get("a/2") == ControlEntry(key: "a/2", value: [3], revision: 2))
    #expect(try again.get("a/3") == nil)
    #expect(again.revision == 2)
  }

  @Test("a transaction whose condition fails changes nothing")
  func compare() throws {
    let store = try open()
    _ = try store.transaction(then: [.put("k", [1])])
    let stale = try store.transaction(if: [.absent("k")], then: [.put("k", [2]), .put("other", [2])])
    #expect(stale == ControlOutcome.refused(at: 1))
    #expect(try store.get("k")?.value == [1])
    #expect(try store.get("other") == nil)
    let fresh = try store.transaction(if: [ControlCondition("k", at: 1), .absent("other")], then: [.delete("k")])
    #expect(fresh.succeeded)
    #expect(try store.get("k") == nil)
  }

  @Test("of two transactions with the same condition one succeeds")
  func race() async throws {
    let store = try open()
    let wins = await withTaskGroup(of: Bool.self) { group in
      for i in 0..<8 {
        group.addTask {
          (try? store.transaction(if: [.absent("lock")], then: [.put("lock", [UInt8(i)])]).succeeded) ?? false
        }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(wins == 1)
  }

  @Test("a range gives exactly the keys with the prefix, in order")
  func range() throws {
    let store = try open()
    _ = try store.transaction(then: ["b/2", "a/1", "b/1", "b", "c/1", "b0"].map { .put($0, Array($0.utf8)) })
    #expect(try store.range(prefix: "b/").map(\.key) == ["b/1", "b/2"])
    #expect(try store.range(prefix: "").count == 6)
  }

  @Test("no value can be read in the file")
  func sealed() throws {
    let store = try open()
    let canary = Array("canary of the control store".utf8)
    _ = try store.transaction(then: [.put("k", canary)])
    store.close()
    let file = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(file.range(of: Data("k".utf8)) != nil)
    #expect(file.range(of: Data(canary)) == nil)
  }

  @Test("a value moved to another key, or put back under a later revision, is damage")
  func swapped() throws {
    let store = try open()
    _ = try store.transaction(then: [.put("a", [1]), .put("b", [2])])
    store.close()
    try edit("UPDATE entries SET value = (SELECT value FROM entries WHERE key = 'b') WHERE key = 'a'")
    try edit("UPDATE entries SET revision = 7 WHERE key = 'b'")
    let again = try open()
    for key in ["a", "b"] {
      #expect { try again.get(key) } throws: { ($0 as? ControlStoreError)?.code == .damaged }
    }
  }

  @Test("another key-encryption key opens nothing, and a rewrapped store opens with the new one only")
  func rotation() throws {
    let store = try open()
    _ = try store.transaction(then: [.put("k", [9])])
    let next = try FileKeyEncryption(path: directory.path + "/kek2", creating: true)
    store.close()
    #expect { try EmbeddedControlStore(path: path, kek: next) } throws: {
      ($0 as? ControlStoreError)?.code == .wrongKey
    }
    let before = try open()
    try before.rewrap(to: next)
    before.close()
    #expect(throws: ControlStoreError.self) { try open() }
    #expect(try EmbeddedControlStore(path: path, kek: next).get("k")?.value == [9])
  }

  @Test("a second opener is told that the store is in use")
  func exclusive() throws {
    let store = try open()
    _ = try store.transaction(then: [.put("k", [1])])
    #expect { try open() } throws: { ($0 as? ControlStoreError)?.code == .busy }
    store.close()
    #expect(try open().get("k")?.value == [1])
  }

  @Test("keys that say too much or too little are refused", arguments: ["", "two words", "ключ", "line\n"])
  func keys(_ key: String) throws {
    let store = try open()
    #expect { try store.transaction(then: [.put(key, [])]) } throws: {
      ($0 as? ControlStoreError)?.code == .invalid
    }
  }

  @Test("every flipped byte of the file is harmless, reported, or leaves the value as it was")
  func flipped() throws {
    let store = try open()
    let value = Array("value".utf8)
    _ = try store.transaction(then: [.put("k", value)])
    store.close()
    let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    var random = SeededGenerator(seed: 11)
    var reported = 0
    for _ in 0..<200 {
      var bytes = whole
      bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8))
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      do {
        let damaged = try open()
        defer { damaged.close() }
        if let entry = try damaged.get("k") { #expect(entry.value == value) }
      } catch is ControlStoreError {
        reported += 1
      }
    }
    #expect(reported > 0)
  }

  private func edit(_ sql: String) throws {
    let connection = try Connection(path: path, .readWrite)
    try connection.execute(sql)
  }
}

extension ControlOutcome {
  static func refused(at revision: Int64) -> ControlOutcome { ControlOutcome(succeeded: false, revision: revision) }
}

// Promises on a real disk: durable when they are told, all together when many wait, and known for damaged when they are.

import Base
import Disk
import Formats
import Foundation
import Node
import SQLite
import Testing
import Threads

@Suite("promises of a node")
struct PromiseStoreTests {
  let directory = TemporaryDirectory()
  var path: String { directory.path + "/promises.sqlite" }

  /// What was told, in order.
  final class Told: Sendable {
    private let all = Lock<[OwnershipPromise]>([])
    func add(_ promises: [OwnershipPromise]) { all.with { $0 += promises } }
    func wait(_ count: Int) async throws -> [OwnershipPromise] {
      try await until("promises stored") { all.with { $0.count >= count } }
      return all.with { $0 }
    }
  }

  static func promise(_ account: UInt64, _ epoch: Epoch, _ index: LogIndex = 0) -> OwnershipPromise {
    OwnershipPromise(
      account: AccountID(bits: UInt128(account)), epoch: epoch, floor: LogPlace(epoch: epoch, index: index))
  }

  @Test("what was told is there after a start, the last promise of each account")
  func durable() async throws {
    let told = Told()
    let store = try PromiseStore(path: path) { told.add($0) }
    #expect(store.promises.isEmpty)
    let all = [Self.promise(1, 1), Self.promise(2, 1), Self.promise(1, 2, 7)]
    for promise in all { store.persist(promise) }
    #expect(try await told.wait(3) == all, "told in the order in which they were asked for")
    store.close()
    store.persist(Self.promise(3, 1))
    let again = try PromiseStore(path: path) { _ in }
    #expect(again.promises == [Self.promise(1, 2, 7), Self.promise(2, 1)])
    again.close()
  }

  @Test("what was told is in the files at that moment: a copy of them opens with it")
  func journal() async throws {
    let told = Told()
    let store = try PromiseStore(path: path) { told.add($0) }
    for epoch in 1...20 as ClosedRange<Epoch> {
      store.persist(Self.promise(1, epoch))
      #expect(try await told.wait(Int(epoch)).last?.epoch == epoch)
      let copy = directory.path + "/copy-\(epoch)"
      try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
      for name in ["promises.sqlite", "promises.sqlite-journal"]
      where FileManager.default.fileExists(atPath: directory.path + "/" + name) {
        try FileManager.default.copyItem(atPath: directory.path + "/" + name, toPath: copy + "/" + name)
      }
      let other = try PromiseStore(path: copy + "/promises.sqlite") { _ in }
      #expect(other.promises == [Self.promise(1, epoch)])
      other.close()
    }
    store.close()
  }

  @Test("two thousand adoptions at once are all durable")
  func many() async throws {
    let told = Told()
    let store = try PromiseStore(path: path) { told.add($0) }
    for account in 0..<2000 as Range<UInt64> { store.persist(Self.promise(account, 1)) }
    _ = try await told.wait(2000)
    store.close()
    let again = try PromiseStore(path: path) { _ in }
    #expect(again.promises.count == 2000)
    again.close()
  }

  @Test("a file that was changed is refused, and none is forgotten in silence")
  func damaged() throws {
    let store = try PromiseStore(path: path) { _ in }
    store.persist(Self.promise(1, 3, 9))
    store.close()
    let change = try Connection(path: path, .readWrite)
    var bytes = Self.promise(1, 3, 9).encode()
    bytes[20] ^= 1
    try change.execute("UPDATE promises SET promise = ?", .blob(bytes))
    change.forgetStatements()
    #expect(throws: NodeError.self) { try PromiseStore(path: path) { _ in } }
    try Data([1, 2, 3]).write(to: URL(fileURLWithPath: path))
    #expect(throws: NodeError.self) { try PromiseStore(path: path) { _ in } }
  }

  @Test("each start has a greater life, and what is no number is refused")
  func life() throws {
    let disk = RealDisk()
    let path = directory.path + "/life"
    #expect(try NodeLife.next(disk, path) == 1)
    #expect(try NodeLife.next(disk, path) == 2)
    #expect(String(decoding: try disk.readAll(path, limit: 64), as: UTF8.self) == "2\n")
    try disk.replaceFile(path, Array("x\n".utf8))
    #expect(throws: NodeError.self) { try NodeLife.next(disk, path) }
  }
}

// Many threads use one keyring: what each was promised is there.

import AtRest
import Base
import OpenSSL
import Simulator
import Testing
import Threads

struct KeyringConcurrencyTests {
  @Test("threads that add, sync, read, copy, destroy and rewrap at the same time lose nothing")
  func together() throws {
    let disk = try preparedDisk()
    let ring = try Keyring.create(disk: disk, path: "/a/keyring", account: account, kek: TestKeyEncryption())
    let kept = Lock<[RecordingID: [UInt8]]>([:])
    let failures = Lock<[String]>([])
    func start(_ name: String, _ body: @escaping @Sendable () throws -> Void) -> Thread {
      Thread(name: name) {
        do { try body() } catch { failures.with { $0.append("\(name): \(error)") } }
      }
    }
    var threads = (0..<4).map { worker in
      start("adder-\(worker)") {
        for number in 0..<60 {
          let id = recording(worker * 1000 + number)
          let key = try ring.addRecordingKey(id).copy
          if number % 3 == 0 { try ring.sync() }
          if try ring.recordingKey(id)?.copy != key { failures.with { $0.append("\(id) reads otherwise") } }
          if number % 4 == 0 { try ring.destroyRecordingKeys([id]) } else { kept.with { $0[id] = key } }
        }
        try ring.sync()
      }
    }
    threads.append(
      start("copier") {
        for _ in 0..<20 {
          let copy = try ArchivedKeyring(
            state: ring.exportState(), account: account, unlockedBy: .accountKey(ring.accountKey))
          for id in copy.recordingIDs() where try copy.recordingKey(id) == nil {
            failures.with { $0.append("\(id) is missing in the copy") }
          }
        }
      })
    threads.append(
      start("rotator") { for number in 2..<12 { try ring.rewrap(to: TestKeyEncryption(UInt8(number))) } })
    for thread in threads { thread.join() }
    #expect(failures.with { $0 } == [])
    let again = try Keyring.open(
      disk: disk.crash(), path: "/a/keyring", account: account, kek: TestKeyEncryption(11))
    let promised = kept.with { $0 }
    #expect(promised.count == 180 && Set(again.recordingIDs()) == Set(promised.keys))
    for (id, key) in promised { #expect(try again.recordingKey(id)?.copy == key) }
  }
}

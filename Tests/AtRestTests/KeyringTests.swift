// What a keyring promises while the disk behaves.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import Simulator
import Testing

struct KeyringTests {
  private let kek = TestKeyEncryption()

  private func open(_ disk: any Disk, _ kek: TestKeyEncryption) throws -> Keyring {
    try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: kek)
  }

  private func create(_ disk: any Disk) throws -> Keyring {
    try Keyring.create(disk: disk, path: "/a/keyring", account: account, kek: kek)
  }

  @Test("an opened keyring has the keys of the created one, and all of them differ")
  func reopen() throws {
    let disk = try preparedDisk()
    let made = try create(disk)
    let again = try open(disk, kek)
    func all(_ ring: Keyring) -> [[UInt8]] {
      [ring.pageWrap, ring.logWrap, ring.archive, ring.recordingName, ring.signing.private, ring.agreement.private]
        .map(\.copy) + [ring.signing.public, ring.agreement.public, ring.accountKey.copy]
    }
    #expect(all(made) == all(again))
    #expect(Set(all(made)).count == 9)
  }

  @Test("keys of recordings come back after a restart, each its own")
  func recordings() throws {
    let disk = try preparedDisk()
    let ring = try create(disk)
    var keys: [RecordingID: [UInt8]] = [:]
    for number in 0..<200 { keys[recording(number)] = try ring.addRecordingKey(recording(number)).copy }
    try ring.sync()
    for again in [ring, try open(disk, kek)] {
      for (id, key) in keys { #expect(try again.recordingKey(id)?.copy == key) }
      #expect(try again.recordingKey(recording(500)) == nil)
      #expect(try again.checkEverySeal() == 200)
    }
    #expect(Set(keys.values).count == 200)
    #expect(code { _ = try ring.addRecordingKey(recording(3)) } == .exists)
  }

  @Test("a wrong key-encryption key says so, changes no byte and makes no new one")
  func wrongKey() throws {
    let disk = try preparedDisk()
    _ = try create(disk)
    let before = try readWhole(disk, "/a/keyring")
    #expect(code { _ = try open(disk, TestKeyEncryption(2)) } == .wrongKey)
    let other = AccountID(bits: 9)
    #expect(code { _ = try Keyring.open(disk: disk, path: "/a/keyring", account: other, kek: kek) } == .wrongKey)
    #expect(code { _ = try create(disk) } == .exists)
    #expect(code { _ = try Keyring.open(disk: disk, path: "/a/none", account: account, kek: kek) } == .notFound)
    #expect(try readWhole(disk, "/a/keyring") == before)
    #expect(try disk.list("/a") == ["keyring"])
  }

  @Test("destroyed keys are gone, from the old file's bytes too; the others stay and new ones can follow")
  func destroy() throws {
    let disk = try preparedDisk()
    let ring = try create(disk)
    let keys = try (0..<20).map { try ring.addRecordingKey(recording($0)).copy }
    try ring.sync()
    let old = try disk.open("/a/keyring", .read)
    try ring.destroyRecordingKeys([recording(4), recording(11), recording(777)])
    let later = try ring.addRecordingKey(recording(50)).copy
    try ring.sync()
    for again in [ring, try open(disk, kek)] {
      for number in 0..<20 {
        #expect(try again.recordingKey(recording(number))?.copy == ([4, 11].contains(number) ? nil : keys[number]))
      }
      #expect(try again.recordingKey(recording(50))?.copy == later)
    }
    let bytes = try old.read(Int(try old.size()), at: 0)
    #expect(!contains(bytes, recording(4).bytes) && contains(bytes, recording(5).bytes))
    #expect(!contains(try readWhole(disk, "/a/keyring"), recording(11).bytes))
    try ring.destroyRecordingKeys([recording(4)])
  }

  @Test("another key-encryption key opens it after a rewrap, the former one no longer, and entries stay as they were")
  func rewrap() throws {
    let disk = try preparedDisk()
    let ring = try create(disk)
    let key = try ring.addRecordingKey(recording(1)).copy
    let before = try readWhole(disk, "/a/keyring")
    try ring.rewrap(to: TestKeyEncryption(2))
    let after = try readWhole(disk, "/a/keyring")
    #expect(before[KeyringFrame.firstOffset...] == after[KeyringFrame.firstOffset...])
    #expect(code { _ = try open(disk, kek) } == .wrongKey)
    #expect(try open(disk, TestKeyEncryption(2)).recordingKey(recording(1))?.copy == key)
    try ring.destroyRecordingKeys([recording(1)])
    #expect(try open(disk, TestKeyEncryption(2)).recordingKey(recording(1)) == nil)
  }

  @Test("the sealed copy opens by the key-encryption key or by the account key, and by no other")
  func copy() throws {
    let ring = try create(try preparedDisk())
    let key = try ring.addRecordingKey(recording(1)).copy
    let state = try ring.exportState()
    for unlock in [KeyringUnlock.keyEncryption(kek), .accountKey(ring.accountKey)] {
      let copy = try ArchivedKeyring(state: state, account: account, unlockedBy: unlock)
      #expect(try copy.recordingKey(recording(1))?.copy == key)
      #expect(try copy.recordingKey(recording(2)) == nil)
      #expect(copy.keys.archive.copy == ring.archive.copy)
      #expect(copy.recordingIDs() == [recording(1)])
    }
    for unlock in [KeyringUnlock.keyEncryption(TestKeyEncryption(2)), .accountKey(SecretBytes.random(32))] {
      #expect(code { _ = try ArchivedKeyring(state: state, account: account, unlockedBy: unlock) } == .wrongKey)
    }
  }

  @Test("entries of kinds that come later are kept through a rewrite")
  func unknownKinds() throws {
    let disk = try preparedDisk()
    let ring = try create(disk)
    _ = try ring.addRecordingKey(recording(1))
    var bytes = try ring.exportState()
    let unknown = KeyringFrame(
      kind: KeyringFrame.Kind(rawValue: 900), number: 7, id: [UInt8](repeating: 3, count: 16),
      nonce: [UInt8](repeating: 4, count: 12), sealed: [UInt8](repeating: 5, count: 300))
    let place = Int(KeyringFrame.place(unknown.byteCount, after: UInt64(bytes.count)))
    bytes += [UInt8](repeating: 0, count: place - bytes.count) + unknown.encode()
    try writeWhole(disk, "/a/keyring", bytes)
    let again = try open(disk, kek)
    try again.destroyRecordingKeys([recording(1)])
    _ = try again.addRecordingKey(recording(2))
    try again.sync()
    #expect(contains(try readWhole(disk, "/a/keyring"), unknown.sealed))
    #expect(try open(disk, kek).recordingKey(recording(2)) != nil)
    #expect(try KeyringCheck(disk: disk, path: "/a/keyring").entries == 8)
  }

  @Test("a failed sync closes the keyring; opened again it relies on nothing that the sync should have kept")
  func failedSync() throws {
    var had = 0
    for seed in 0..<40 as Range<UInt64> {
      let disk = try preparedDisk(seed: seed)
      let ring = try create(disk)
      _ = try ring.addRecordingKey(recording(1))
      disk.fail(.sync)
      #expect(code { try ring.sync() } == .io)
      #expect(code { try ring.sync() } == .closed)
      #expect(code { _ = try ring.addRecordingKey(recording(2)) } == .closed)
      #expect(code { _ = try ring.recordingKey(recording(1)) } == .closed)
      #expect(code { _ = try ring.exportState() } == .closed)
      let again = try open(disk, kek)
      guard again.hasRecordingKey(recording(1)) else { continue }
      had += 1
      try again.sync()
      #expect(try open(disk.crash(), kek).recordingKey(recording(1)) != nil, "seed \(seed)")
    }
    #expect(had > 0)
  }
}

func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
  guard bytes.count >= part.count else { return false }
  return (0...(bytes.count - part.count)).contains {
    bytes[$0] == part[0] && bytes[$0..<($0 + part.count)].elementsEqual(part)
  }
}

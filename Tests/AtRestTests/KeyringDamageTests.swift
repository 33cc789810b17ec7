// Damage is told from the torn end of a write that nobody was told about.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import Simulator
import Testing

struct KeyringDamageTests {
  private let kek = TestKeyEncryption()

  /// A settled keyring of 9 recordings, and its keys.
  private func settled(_ disk: ForgetfulDisk) throws -> (bytes: [UInt8], keys: [[UInt8]]) {
    let ring = try Keyring.create(disk: disk, path: "/a/keyring", account: account, kek: kek)
    let keys = try (0..<9).map { try ring.addRecordingKey(recording($0)).copy }
    try ring.settle()
    return (try readWhole(disk, "/a/keyring"), keys)
  }

  @Test("every flipped bit of a settled keyring is found with its offset, and no wrong key is ever given")
  func everyFlip() throws {
    let disk = try preparedDisk()
    let (bytes, keys) = try settled(disk)
    for at in 0..<bytes.count {
      let state = flipping(at * 8 + at % 8, in: bytes)
      var offset: Int?
      do { offset = try KeyringCheck(state: state).repairable?.offset } catch { offset = error.offset }
      guard let offset else {
        Issue.record("a flip in byte \(at) was not found")
        continue
      }
      #expect(offset <= at && at < offset + 3072, "byte \(at) was reported at \(offset)")
    }
    // Opening is dearer: every seventh byte, all of the named regions included.
    for at in stride(from: 0, to: bytes.count, by: 7) {
      try writeWhole(disk, "/a/keyring", flipping(at * 8 + at % 8, in: bytes))
      do {
        let ring = try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: kek)
        for (number, key) in keys.enumerated() { #expect(try ring.recordingKey(recording(number))?.copy == key) }
        #expect(try KeyringCheck(disk: disk, path: "/a/keyring").repairable == nil)
      } catch {
        #expect([.damaged, .wrongKey, .refused].contains(error.code), "byte \(at): \(error)")
      }
    }
  }

  @Test("an end cut off anywhere behind what was settled is damage; a torn end behind it is cut and the rest serves")
  func cut() throws {
    let disk = try preparedDisk()
    let (bytes, keys) = try settled(disk)
    for count in stride(from: 0, to: bytes.count, by: 37) {
      #expect(throws: AtRestError.self) { try KeyringCheck(state: Array(bytes[..<count])) }
    }
    let ring = try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: kek)
    for number in 100..<110 { _ = try ring.addRecordingKey(recording(number)) }
    let longer = try readWhole(disk, "/a/keyring")
    for count in bytes.count..<longer.count {
      try writeWhole(disk, "/a/keyring", Array(longer[..<count]))
      let again = try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: kek)
      for (number, key) in keys.enumerated() { #expect(try again.recordingKey(recording(number))?.copy == key) }
      #expect(try again.checkEverySeal() >= 9)
      #expect(try KeyringCheck(disk: disk, path: "/a/keyring").tornBytes == 0)
    }
  }

  @Test("an entry moved to another recording's name does not open")
  func swapped() throws {
    let disk = try preparedDisk()
    let (bytes, _) = try settled(disk)
    var frames: [KeyringFrame] = []
    _ = KeyringSectors.walk(
      Array(bytes[KeyringFrame.firstOffset...]), from: .start, at: UInt64(KeyringFrame.firstOffset)
    ) { frames.append(KeyringFrame(front: bytes[Int($0.place)...])!) }
    var swapped = Array(bytes[..<KeyringFrame.firstOffset])
    let (first, second) = (frames[6].id, frames[7].id)
    (frames[6].id, frames[7].id) = (second, first)
    for frame in frames {
      let place = Int(KeyringFrame.place(frame.byteCount, after: UInt64(swapped.count)))
      swapped += [UInt8](repeating: 0, count: place - swapped.count) + frame.encode()
    }
    try writeWhole(disk, "/a/keyring", swapped)
    let ring = try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: kek)
    #expect(code { _ = try ring.recordingKey(recording(0)) } == .damaged)
    #expect(try ring.recordingKey(recording(5)) != nil)
    #expect(code { _ = try ring.checkEverySeal() } == .damaged)
  }

  @Test("mutated keyrings never trap, and give only keys that were put in")
  func fuzz() throws {
    let disk = try preparedDisk()
    let (bytes, keys) = try settled(disk)
    let accountKey = try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: kek).accountKey
    var random = SeededGenerator(seed: 3)
    var refused = 0
    for _ in 0..<4000 {
      do {
        let ring = try ArchivedKeyring(
          state: mutated(bytes, &random), account: account, unlockedBy: .accountKey(accountKey))
        for (number, key) in keys.enumerated() {
          if let got = try ring.recordingKey(recording(number)) { #expect(got.copy == key) }
        }
      } catch {
        refused += 1
      }
    }
    #expect(refused > 3000)
  }
}

// The recovery file opens for its recipient only, with our code and with the age tool, and opens the archived keyring.

import AtRest
import Base
import Disk
import Formats
import Glibc
import OpenSSL
import Testing

struct RecoveryFileTests {
  private let file = RecoveryFile(
    account: account, accountKey: SecretBytes([UInt8](repeating: 8, count: 32)), at: 1_795_000_000_000_000)

  @Test("comes back for its recipient and for nobody else")
  func recipient() throws {
    let pair = Age.generateIdentity()
    let bytes = try file.encode(to: .age(pair.recipient))
    let back = try RecoveryFile(decoding: bytes, by: .age(pair.identity))
    #expect(back.account == file.account && back.at == file.at && back.accountKey.copy == file.accountKey.copy)
    #expect(code { _ = try RecoveryFile(decoding: bytes, by: .age(Age.generateIdentity().identity)) } == .wrongKey)
    #expect(code { _ = try RecoveryFile(decoding: bytes, by: .passphrase(SecretBytes([1]))) } == .wrongKey)
    #expect(!contains(bytes, file.accountKey.copy) && !contains(bytes, account.bytes))
  }

  @Test("comes back under its passphrase")
  func passphrase() throws {
    let phrase = SecretBytes(Array("correct horse".utf8))
    let bytes = try file.encode(to: .passphrase(phrase))
    #expect(try RecoveryFile(decoding: bytes, by: .passphrase(phrase)).accountKey.copy == file.accountKey.copy)
    #expect(code { _ = try RecoveryFile(decoding: bytes, by: .passphrase(SecretBytes([1]))) } == .wrongKey)
  }

  @Test("with it a keyring's sealed copy opens, and another account's does not")
  func opensTheKeyring() throws {
    let disk = try preparedDisk()
    let ring = try Keyring.create(disk: disk, path: "/a/keyring", account: account, kek: TestKeyEncryption())
    let key = try ring.addRecordingKey(recording(1)).copy
    let pair = Age.generateIdentity()
    let bytes = try RecoveryFile(account: account, accountKey: ring.accountKey, at: 1).encode(to: .age(pair.recipient))
    try ring.rewrap(to: TestKeyEncryption(2))
    let recovery = try RecoveryFile(decoding: bytes, by: .age(pair.identity))
    let copy = try ArchivedKeyring(
      state: ring.exportState(), account: recovery.account, unlockedBy: .accountKey(recovery.accountKey))
    #expect(try copy.recordingKey(recording(1))?.copy == key)
    let other = try Keyring.create(disk: disk, path: "/a/other", account: account, kek: TestKeyEncryption())
    #expect(
      code {
        _ = try ArchivedKeyring(
          state: other.exportState(), account: account, unlockedBy: .accountKey(recovery.accountKey))
      } == .wrongKey)
  }

  @Test("the age tool shows its contents", .enabled(if: access("/usr/bin/age", X_OK) == 0))
  func tool() throws {
    let directory = TemporaryDirectory()
    let pair = Age.generateIdentity()
    let identity = try directory.write("identity", Array(pair.identity.utf8))
    let path = try directory.write("recovery", file.encode(to: .age(pair.recipient)))
    #expect(run(["/usr/bin/age", "-d", "-i", identity, "-o", directory.file("plain"), path]) == 0)
    let contents = try RecoveryContents(readWhole(RealDisk(), directory.file("plain")))
    #expect(contents.account == account && contents.accountKey == file.accountKey.copy)
  }

  @Test("mutated contents never trap; an age file of something else is refused")
  func fuzz() throws {
    let contents = RecoveryContents(account: account, at: 5, accountKey: file.accountKey.copy).encode()
    var random = SeededGenerator(seed: 2)
    for _ in 0..<3000 {
      if let back = try? RecoveryContents(mutated(contents, &random)) { #expect(back.encode() == contents) }
    }
    let pair = Age.generateIdentity()
    let strange = try Age.encrypt(Array("hello".utf8), to: [pair.recipient])
    #expect(code { _ = try RecoveryFile(decoding: strange, by: .age(pair.identity)) } == .damaged)
  }
}

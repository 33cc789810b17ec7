// age files: among ourselves, and in both directions with the age tool where it is installed.

import AtRest
import Base
import Disk
import Glibc
import OpenSSL
import Testing

struct AgeTests {
  private static let tool = access("/usr/bin/age", X_OK) == 0
  private let lengths = [0, 1, 65_535, 65_536, 65_537, 200_000]

  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) } }
  private func secret(_ text: String) -> SecretBytes { SecretBytes(Array(text.utf8)) }

  @Test("any of several recipients opens a file of any length, others do not")
  func recipients() throws {
    let (first, second, third) = (Age.generateIdentity(), Age.generateIdentity(), Age.generateIdentity())
    for count in lengths {
      let file = try Age.encrypt(bytes(count), to: [first.recipient, second.recipient])
      for identity in [first.identity, second.identity] {
        #expect(try Age.decrypt(file, identities: Age.identities(in: identity)) == bytes(count))
      }
      #expect(code { _ = try Age.decrypt(file, identities: Age.identities(in: third.identity)) } == .wrongKey)
      #expect(code { _ = try Age.decrypt(file, passphrase: secret("x")) } == .wrongKey)
    }
  }

  @Test("a passphrase opens a file, another one does not, and an excessive work factor is refused unworked")
  func passphrases() throws {
    let file = try Age.encrypt(bytes(1000), passphrase: secret("correct horse"), workFactor: 10)
    #expect(try Age.decrypt(file, passphrase: secret("correct horse")) == bytes(1000))
    #expect(code { _ = try Age.decrypt(file, passphrase: secret("battery")) } == .wrongKey)
    let at = try #require(file.firstIndex(of: 10)) + 1
    let line = try #require(file[at...].firstIndex(of: 10))
    let dear = file[..<(line - 2)] + Array("30".utf8) + file[line...]
    #expect(code { _ = try Age.decrypt(Array(dear), passphrase: secret("correct horse")) } == .refused)
  }

  @Test("written piece by piece it is the same file as at once")
  func pieces() throws {
    let pair = Age.generateIdentity()
    let plain = bytes(150_000)
    for step in [1000, 65_536, 65_537, 150_000] {
      var encryptor = try AgeEncryptor(recipients: [pair.recipient])
      var file: [UInt8] = []
      for start in stride(from: 0, to: plain.count, by: step) {
        file += encryptor.update(Array(plain[start..<min(start + step, plain.count)]))
      }
      file += encryptor.finish()
      #expect(try Age.decrypt(file, identities: Age.identities(in: pair.identity)) == plain)
    }
  }

  @Test("chunks that are cut, swapped, repeated or extended are refused")
  func chunks() throws {
    let pair = Age.generateIdentity()
    let keys = try Age.identities(in: pair.identity)
    let file = try Age.encrypt(bytes(3 * 65_536), to: [pair.recipient])
    let sealed = 65_536 + 16
    let start = file.count - 3 * sealed
    let parts = (0..<3).map { Array(file[(start + $0 * sealed)..<(start + ($0 + 1) * sealed)]) }
    let head = Array(file[..<start])
    #expect(try Age.decrypt(head + parts[0] + parts[1] + parts[2], identities: keys) == bytes(3 * 65_536))
    for wrong in [
      [parts[0], parts[1]], [parts[0], parts[2]], [parts[1], parts[0], parts[2]], parts + [parts[2]], parts + [[0]], [],
    ] {
      #expect(code { _ = try Age.decrypt(head + wrong.flatMap { $0 }, identities: keys) } == .damaged)
    }
  }

  @Test("identity files may hold comments and several keys; anything else is refused with its line")
  func identities() throws {
    let (first, second) = (Age.generateIdentity().identity, Age.generateIdentity().identity)
    #expect(try Age.identities(in: "# made today\n\(first)\n\n  \(second)\r\n").count == 2)
    #expect(first.hasPrefix("AGE-SECRET-KEY-1"))
    for text in ["", "# nothing\n", "hello", first + "\nAGE-SECRET-KEY-1QQQ"] {
      #expect(code { _ = try Age.identities(in: text) } == .refused)
    }
    #expect(code { _ = try Age.encrypt([], to: ["age1qqqq"]) } == .refused)
    #expect(code { _ = try Age.encrypt([], to: []) } == .refused)
  }

  @Test("mutated files never trap and never give other bytes")
  func fuzz() throws {
    let pair = Age.generateIdentity()
    let keys = try Age.identities(in: pair.identity)
    let file = try Age.encrypt(bytes(300), to: [pair.recipient, Age.generateIdentity().recipient])
    var random = SeededGenerator(seed: 11)
    var refused = 0
    for _ in 0..<3000 {
      do { #expect(try Age.decrypt(mutated(file, &random), identities: keys) == bytes(300)) } catch { refused += 1 }
    }
    for bit in 0..<8 * file.count {
      #expect(throws: AtRestError.self, "bit \(bit)") { try Age.decrypt(flipping(bit, in: file), identities: keys) }
    }
    #expect(refused > 2900)
  }

  @Test("the age tool opens our files and we open its, by recipient", .enabled(if: tool))
  func withTheTool() throws {
    let directory = TemporaryDirectory()
    let pair = Age.generateIdentity()
    let identity = try directory.write("identity", Array((pair.identity + "\n").utf8))
    let keys = try Age.identities(in: pair.identity)
    for count in lengths {
      let ours = try directory.write("ours.age", Age.encrypt(bytes(count), to: [pair.recipient]))
      #expect(run(["/usr/bin/age", "-d", "-i", identity, "-o", directory.file("opened"), ours]) == 0)
      // The tool makes no file for no bytes.
      if count > 0 { #expect(try readWhole(RealDisk(), directory.file("opened")) == bytes(count)) }
      let plain = try directory.write("plain", bytes(count))
      #expect(run(["/usr/bin/age", "-r", pair.recipient, "-o", directory.file("theirs.age"), plain]) == 0)
      #expect(try Age.decrypt(readWhole(RealDisk(), directory.file("theirs.age")), identities: keys) == bytes(count))
    }
  }

  @Test("age-keygen's pairs are ours", .enabled(if: access("/usr/bin/age-keygen", X_OK) == 0))
  func keygen() throws {
    let directory = TemporaryDirectory()
    #expect(run(["/usr/bin/age-keygen", "-o", directory.file("identity")]) == 0)
    let text = String(decoding: try readWhole(RealDisk(), directory.file("identity")), as: UTF8.self)
    let key = try #require(try Age.identities(in: text).first)
    #expect(text.contains("public key: " + Age.recipient(of: X25519.publicKey(of: key))))
  }

  // The tool asks for a passphrase on a terminal only; util-linux's script gives it one.
  @Test(
    "the age tool opens our files and we open its, by passphrase",
    .enabled(if: tool && access("/usr/bin/script", X_OK) == 0))
  func passphraseWithTheTool() throws {
    let directory = TemporaryDirectory()
    let ours = try directory.write(
      "ours.age", Age.encrypt(bytes(100), passphrase: secret("correct horse"), workFactor: 12))
    try directory.write("answers", Array("correct horse\n".utf8))
    try directory.write("twice", Array("correct horse\ncorrect horse\n".utf8))
    func onTerminal(_ command: String, _ answers: String) -> Int32 {
      run(["/bin/sh", "-c", "script -qec '\(command)' /dev/null < \(directory.file(answers)) > /dev/null"])
    }
    #expect(onTerminal("age -d -o \(directory.file("opened")) \(ours)", "answers") == 0)
    #expect(try readWhole(RealDisk(), directory.file("opened")) == bytes(100))
    let plain = try directory.write("plain", bytes(100))
    #expect(onTerminal("age -p -o \(directory.file("theirs.age")) \(plain)", "twice") == 0)
    let theirs = try readWhole(RealDisk(), directory.file("theirs.age"))
    #expect(try Age.decrypt(theirs, passphrase: secret("correct horse")) == bytes(100))
  }
}

// Where key-encryption keys come from, and what each source refuses.

import AtRest
import Base
import Disk
import Formats
import Glibc
import OpenSSL
import Testing

struct KeyEncryptionTests {
  private let directory = TemporaryDirectory()
  private let key = SecretBytes([UInt8](repeating: 6, count: 32))
  private let cheap = Argon2id.Parameters(memoryKiB: 8 << 10, passes: 1, lanes: 1)

  private func phrase(_ text: String) -> SecretBytes { SecretBytes(Array(text.utf8)) }

  @Test("a key file wraps and unwraps, for the account it was wrapped for only")
  func file() throws {
    let path = directory.file("kek")
    let made = try FileKeyEncryption(path: path, creating: true)
    let again = try FileKeyEncryption(path: path)
    let wrapped = try made.wrap(key, for: account)
    #expect(try again.unwrap(wrapped, for: account).copy == key.copy)
    #expect(made.id == again.id)
    #expect(code { _ = try again.unwrap(wrapped, for: AccountID(bits: 3)) } == .wrongKey)
    #expect(code { _ = try again.unwrap([1, 2], for: account) } == .damaged)
    let other = try FileKeyEncryption(path: directory.file("other"), creating: true)
    #expect(other.id != made.id)
    #expect(code { _ = try other.unwrap(wrapped, for: account) } == .wrongKey)
  }

  @Test("a missing key file is said and never made; an existing one is never made anew")
  func neverAnew() throws {
    let path = directory.file("kek")
    #expect(code { _ = try FileKeyEncryption(path: path) } == .notFound)
    #expect(access(path, F_OK) != 0)
    _ = try FileKeyEncryption(path: path, creating: true)
    let before = try readWhole(RealDisk(), path)
    #expect(code { _ = try FileKeyEncryption(path: path, creating: true) } == .exists)
    #expect(try readWhole(RealDisk(), path) == before)
  }

  @Test("a key file that others may read is refused, a link and a damaged one too")
  func modes() throws {
    let path = directory.file("kek")
    _ = try FileKeyEncryption(path: path, creating: true)
    for mode: mode_t in [0o640, 0o604, 0o660, 0o610] {
      chmod(path, mode)
      #expect(code { _ = try FileKeyEncryption(path: path) } == .refused)
    }
    chmod(path, 0o400)
    _ = try FileKeyEncryption(path: path)
    symlink(path, directory.file("link"))
    #expect(throws: AtRestError.self) { try FileKeyEncryption(path: directory.file("link")) }
    let bytes = try readWhole(RealDisk(), path)
    for bit in 0..<8 * bytes.count {
      let damaged = try directory.write("damaged", flipping(bit, in: bytes))
      #expect(code { _ = try FileKeyEncryption(path: damaged) } == .damaged, "bit \(bit)")
    }
  }

  @Test("a passphrase opens what it wrapped; another one is refused at once")
  func passphrase() throws {
    let path = directory.file("passphrase")
    let made = try PassphraseKeyEncryption(passphrase: phrase("open"), parametersPath: path, creating: cheap)
    let again = try PassphraseKeyEncryption(passphrase: phrase("open"), parametersPath: path)
    #expect(try again.unwrap(try made.wrap(key, for: account), for: account).copy == key.copy)
    #expect(made.id == again.id)
    #expect(
      code { _ = try PassphraseKeyEncryption(passphrase: phrase("shut"), parametersPath: path) } == .wrongKey)
    #expect(
      code { _ = try PassphraseKeyEncryption(passphrase: phrase("open"), parametersPath: directory.file("none")) }
        == .notFound)
  }

  @Test("parameters out of bounds are refused before any work, when written and when read")
  func bounds() throws {
    var file = KeyringPassphrase(
      memoryKiB: 8 << 10, passes: 1, lanes: 1, salt: [UInt8](repeating: 1, count: 16),
      check: [UInt8](repeating: 2, count: 8))
    #expect(try KeyringPassphrase(file.encode()) == file)
    for change: (inout KeyringPassphrase) -> Void in [
      { $0.memoryKiB = .max }, { $0.memoryKiB = 1 }, { $0.passes = .max }, { $0.passes = 0 }, { $0.lanes = 0 },
      { $0.lanes = 1000 },
    ] {
      var wrong = file
      change(&wrong)
      let path = try directory.write("wrong", wrong.encode())
      #expect(throws: AtRestError.self) { try PassphraseKeyEncryption(passphrase: phrase("x"), parametersPath: path) }
    }
    file.passes = 2
    var random = SeededGenerator(seed: 4)
    for _ in 0..<2000 {
      if let back = try? KeyringPassphrase(mutated(file.encode(), &random)) { #expect(back == file) }
      _ = try? KeyringKeyFile(mutated(KeyringKeyFile(key: key.copy).encode(), &random))
    }
  }

  @Test("Argon2id gives the result of its reference implementation")
  func argon2() throws {
    let derived = try Argon2id.derive(
      passphrase: phrase("password"), salt: Array("somesalt".utf8), .init(memoryKiB: 65_536, passes: 2, lanes: 1),
      count: 32)
    #expect(derived.copy.hex == "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7")
  }

  @Test("a command gives the key as 32 bytes or as 64 digits")
  func command() throws {
    let raw = try directory.write("raw", key.copy)
    let digits = try directory.write("digits", Array((key.copy.hex + "\n").utf8))
    let first = try CommandKeyEncryption(arguments: ["/bin/cat", raw])
    let second = try CommandKeyEncryption(arguments: ["/bin/cat", digits])
    #expect(first.id == second.id)
    #expect(try second.unwrap(try first.wrap(key, for: account), for: account).copy == key.copy)
  }

  @Test(
    "a command that fails, prints something else or too much, or takes too long is refused",
    arguments: [
      ["/bin/false"], ["/bin/echo", "hello"], ["/bin/cat", "/dev/zero"], ["cat"], [], ["/no/such/program"],
      ["/bin/sleep", "60"], ["/bin/sh", "-c", "printf %64s | tr ' ' 0; exit 3"],
      ["/bin/sh", "-c", "printf %64s | tr ' ' 0; exec >&-; sleep 60"],
    ])
  func wrongCommands(arguments: [String]) {
    let clock = ContinuousClock()
    let start = clock.now
    #expect(code { _ = try CommandKeyEncryption(arguments: arguments, timeout: .milliseconds(300)) } == .refused)
    #expect(clock.now - start < .seconds(20))
  }
}

// Keys, accounts and disks that the tests of this module share.

import AtRest
import Base
import Disk
import Glibc
import OpenSSL
import Simulator

let account = AccountID(bits: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)

/// A key-encryption key in memory that seals as the real ones do, but draws nothing from the system.
final class TestKeyEncryption: KeyEncryption {
  let id: String
  private let key: SecretBytes

  init(_ number: UInt8 = 1) {
    id = "test-\(number)"
    key = SecretBytes([UInt8](repeating: number, count: 32))
  }

  func wrap(_ key: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    let nonce = SystemRandom.bytes(12)
    return nonce + AESGCM(key: self.key).seal(key.copy, nonce: nonce, aad: account.bytes)
  }

  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    let nonce = Array(wrapped.prefix(12))
    guard wrapped.count > 12,
      let key = AESGCM(key: key).open(Array(wrapped.dropFirst(12)), nonce: nonce, aad: account.bytes)
    else { throw AtRestError(.wrongKey, "not this test key") }
    return SecretBytes(key)
  }
}

func recording(_ number: Int) -> RecordingID { RecordingID(bits: UInt128(number) << 64 | 0xabcd) }

/// A disk with the directory `/a`.
func preparedDisk(seed: UInt64 = 1) throws -> ForgetfulDisk {
  let disk = ForgetfulDisk(seed: seed)
  try disk.makeDirectory("/a")
  try disk.syncDirectory("/")
  return disk
}

func readWhole(_ disk: any Disk, _ path: String) throws -> [UInt8] {
  let file = try disk.open(path, .read)
  return try file.read(Int(try file.size()), at: 0)
}

func writeWhole(_ disk: any Disk, _ path: String, _ bytes: [UInt8]) throws {
  let file = try disk.open(path, .createOrOpen)
  try file.truncate(to: 0)
  try file.write(bytes, at: 0)
  try file.sync()
  try disk.syncDirectory("/a")
}

func flipping(_ bit: Int, in bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  bytes[bit / 8] ^= 1 << UInt8(bit % 8)
  return bytes
}

/// The code of what `body` throws, nil when it throws nothing.
func code(_ body: () throws -> Void) -> AtRestError.Code? {
  do { try body() } catch let error as AtRestError { return error.code } catch {}
  return nil
}

/// A directory of its own below the system's temporary one, removed at the end.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/komora-atrest-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  deinit {
    let disk = RealDisk()
    for name in (try? disk.list(path)) ?? [] { try? disk.remove("\(path)/\(name)") }
    try? disk.removeDirectory(path)
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = try RealDisk().open(file(name), .createOrOpen)
    try file.truncate(to: 0)
    try file.write(bytes, at: 0)
    return self.file(name)
  }
}

// An engine in a directory of its own on a real disk, for tests of the live threads.

import AtRest
import Base
import Disk
import Glibc
import OpenSSL
import ShardStore

struct TestKey: KeyEncryption {
  let id = "test"
  private let key = SecretBytes([UInt8](repeating: 7, count: 32))

  func wrap(_ secret: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    let nonce = SystemRandom.bytes(12)
    return nonce + AESGCM(key: key).seal(secret.copy, nonce: nonce, aad: account.bytes)
  }

  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    guard wrapped.count > 12,
      let plain = AESGCM(key: key).open(Array(wrapped[12...]), nonce: Array(wrapped[..<12]), aad: account.bytes)
    else { throw AtRestError(.wrongKey, "another key") }
    return SecretBytes(plain)
  }
}

final class TemporaryDirectory: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/komora-test-XXXXXX".utf8CString)
    path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
  }

  deinit { Self.remove(path) }

  static func remove(_ path: String) {
    let disk = RealDisk()
    for name in (try? disk.list(path)) ?? [] {
      let child = "\(path)/\(name)"
      if (try? disk.info(child))?.isDirectory == true { remove(child) } else { try? disk.remove(child) }
    }
    try? disk.removeDirectory(path)
  }
}

func testConfiguration(_ directory: String) -> EngineConfiguration {
  var configuration = EngineConfiguration(directory: directory, node: NodeID(bits: 1))
  configuration.logFileBytes = 1 << 20
  configuration.maintenancePeriod = .milliseconds(5)
  return configuration
}

func id(_ n: Int) -> AccountID { AccountID(bits: UInt128(n) << 64 | 0xACC0) }

// Argon2id (RFC 9106): a passphrase becomes a key at a price in memory and time.

import CArgon2
package import OpenSSL

package enum Argon2id {
  package struct Parameters: Sendable, Equatable {
    package var memoryKiB: Int
    package var passes: Int
    package var lanes: Int

    package init(memoryKiB: Int, passes: Int, lanes: Int) {
      self.memoryKiB = memoryKiB
      self.passes = passes
      self.lanes = lanes
    }

    /// RFC 9106's second recommendation with more memory: about a third of a second.
    package static let standard = Parameters(memoryKiB: 128 << 10, passes: 3, lanes: 4)
  }

  /// `.refused` when Argon2 does not take the parameters. Lanes are run one after the other.
  package static func derive(
    passphrase: SecretBytes, salt: [UInt8], _ parameters: Parameters, count: Int
  ) throws(AtRestError) -> SecretBytes {
    guard (1...1 << 22).contains(parameters.memoryKiB), (1...1 << 16).contains(parameters.passes),
      (1...255).contains(parameters.lanes), salt.count >= 8
    else { throw AtRestError(.refused, "Argon2id parameters out of range") }
    var result: Int32 = 0
    let key = SecretBytes(count: count) { span in
      passphrase.with { phrase in
        phrase.withUnsafeBytes { words in
          span.withUnsafeMutableBytes { out in
            result = argon2id_hash_raw(
              UInt32(parameters.passes), UInt32(parameters.memoryKiB), UInt32(parameters.lanes), words.baseAddress,
              words.count, salt, salt.count, out.baseAddress, out.count)
          }
        }
      }
    }
    guard result == ARGON2_OK.rawValue else {
      throw AtRestError(.refused, "Argon2id: \(String(cString: argon2_error_message(result)))")
    }
    return key
  }
}

// Names of accounts: `[a-z0-9][a-z0-9-]{1,61}[a-z0-9]`, which is also what a bucket of S3 may be called.

import Base
import Foundation

package enum AccountName {
  package static func check(_ name: String) throws(NodeError) {
    let bytes = Array(name.utf8)
    let inner = bytes.allSatisfy { isAlphanumeric($0) || $0 == 45 }
    guard Limits.accountNameBytes.contains(bytes.count), inner, isAlphanumeric(bytes[0]),
      isAlphanumeric(bytes[bytes.count - 1])
    else {
      throw NodeError(
        .invalid,
        "an account's name has 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends")
    }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...122).contains(byte) }
}

extension AccountOptions {
  func check() throws(NodeError) {
    guard TimeZone(identifier: timezone) != nil else {
      throw NodeError(.invalid, "no such time zone: give an IANA name such as Europe/Kyiv")
    }
    let words = residency + [home].compactMap { $0 }
    guard words.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 63 }), residency.count <= 64 else {
      throw NodeError(.invalid, "a region's name has 1 to 63 bytes, and residency names at most 64 of them")
    }
  }
}

// The key-encryption key is what a command prints: 32 raw bytes, or 64 hexadecimal digits. For key stores of the
// operator's own (a hardware module's tool, a cloud's key service).

package import Base
package import OpenSSL

package final class CommandKeyEncryption: KeyEncryption {
  private let wrapper: KeyWrapper

  /// Runs `arguments`, the program's full path first, without a shell. `.refused` when it fails, takes longer than
  /// `timeout`, or prints anything else than a key. What it prints on standard error goes to ours.
  package init(arguments: [String], timeout: Duration = .seconds(30)) throws(AtRestError) {
    var output = try CommandOutput.of(arguments, timeout: timeout, limit: 256)
    defer { wipe(&output) }
    guard var key = Self.key(in: output) else {
      throw AtRestError(.refused, "the key command printed neither 32 bytes nor 64 hexadecimal digits")
    }
    wrapper = KeyWrapper(key: SecretBytes(wiping: &key))
  }

  /// 32 bytes exactly are taken as they are: a line break at the end is cut from digits only.
  static func key(in output: [UInt8]) -> [UInt8]? {
    if output.count == 32 { return output }
    var digits = output[...]
    while let last = digits.last, last == 10 || last == 13 { digits.removeLast() }
    guard digits.count == 64 else { return nil }
    return [UInt8](hex: String(decoding: digits, as: UTF8.self))
  }

  package var id: String { wrapper.id }

  package func wrap(_ key: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    wrapper.wrap(key, for: account)
  }

  package func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    try wrapper.unwrap(wrapped, for: account)
  }
}

// The key-encryption key that a configuration names.
//
// It is made only for a node that has no control store yet: a missing key beside existing data is reported, never
// replaced by a new one.

package import AtRest
package import Disk
import OpenSSL

package enum KeyEncryptionSource {
  /// A rotation writes the next key here and puts it in place when everything is wrapped by it.
  package static func nextFile(_ path: String) -> String { path + ".next" }

  /// `directory` holds what a passphrase needs beside itself.
  package static func open(
    _ source: NodeConfiguration.KeySource, directory: String, disk: any Disk, creating: Bool
  ) throws -> any KeyEncryption {
    switch source {
    case .file(let path):
      if try disk.info(nextFile(path)) != nil {
        throw NodeError(
          .refused, "a rotation of the key-encryption key has not ended: run `komora keys rotate` again, then start")
      }
      // A first start that died behind this step left a key that nothing uses yet: it serves.
      return try FileKeyEncryption(path: path, creating: try creating && disk.info(path) == nil)
    case .passphrase(let file):
      let parameters = directory + "/passphrase"
      let isNew = try creating && disk.info(parameters) == nil
      return try PassphraseKeyEncryption(
        passphrase: try passphrase(file, disk), parametersPath: parameters,
        creating: isNew ? .standard : nil)
    case .command(let words): return try CommandKeyEncryption(arguments: words)
    }
  }

  private static func passphrase(_ file: String, _ disk: any Disk) throws -> SecretBytes {
    var bytes = try disk.readAll(file, limit: 4096)
    while let last = bytes.last, last == 10 || last == 13 { bytes.removeLast() }
    guard !bytes.isEmpty else { throw NodeError(.invalid, "\(file) holds no passphrase") }
    return SecretBytes(wiping: &bytes)
  }
}

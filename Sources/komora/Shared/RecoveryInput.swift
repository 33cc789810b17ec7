// A recovery file from the command line, opened by an age identity or a passphrase.

import AtRest
import Foundation
import OpenSSL

enum RecoveryInput {
  static func open(
    _ path: String, identity: String?, passphraseFile: String?
  ) throws(CommandFailure) -> RecoveryFile {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandFailure(.notFound, "cannot read \(path): give the account's recovery file")
    }
    let key: RecoveryFile.Identity
    if let identity {
      key = .age(try PrivateFile.readText(identity))
    } else {
      key = .passphrase(SecretBytes(Array(try PrivateFile.readLine(passphraseFile ?? "-").utf8)))
    }
    do {
      return try RecoveryFile(decoding: Array(data), by: key)
    } catch {
      throw CommandFailure(error.code == .wrongKey ? .refused : .failed, "\(path): \(error.message)")
    }
  }
}

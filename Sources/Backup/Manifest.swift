// An opened manifest: header, lists, signature. Whoever holds one knows that the account's own key signed it.

import Base
package import Formats
import OpenSSL

package struct Manifest: Sendable, Equatable {
  package let header: ManifestHeader
  package let body: ManifestBody
  package let signature: [UInt8]

  /// Seals and signs. `header`'s nonce and body length are filled in here.
  package static func seal(_ header: ManifestHeader, _ body: ManifestBody, keys: ArchiveKeys) -> ManifestFile {
    var header = header
    let plain = body.encode()
    header.publicKey = keys.publicKey
    header.nonce = SystemRandom.bytes(ManifestHeader.nonceBytes)
    header.bodyBytes = plain.count + AESGCM.tagBytes
    let cipher = keys.cipher(forManifest: header.snapshot)
    let sealed = cipher.seal(plain, nonce: header.nonce, aad: header.encode())
    let signature = keys.sign(ManifestFile.signedBytes(header: header, body: sealed))
    return ManifestFile(header: header, body: sealed, signature: signature)
  }

  /// Checks the signature against the account's key, not the one that the file names, then opens the lists.
  package init(opening file: ManifestFile, keys: ArchiveKeys, path: String) throws(BackupError) {
    guard file.header.account == keys.account else {
      throw BackupError(.wrongKey, "the manifest is of account \(file.header.account)", path: path, offset: 8)
    }
    guard file.header.publicKey == keys.publicKey, keys.verify(file.signature, of: file.signedBytes) else {
      throw BackupError(.damaged, "the manifest is not signed by this account", path: path, offset: 0)
    }
    let cipher = keys.cipher(forManifest: file.header.snapshot)
    guard let plain = cipher.open(file.body, nonce: file.header.nonce, aad: file.header.encode()) else {
      throw BackupError(.wrongKey, "the account's archive key does not open the manifest", path: path)
    }
    header = file.header
    signature = file.signature
    let header = header
    body = try decoding(path, base: ManifestHeader.byteCount) { () throws(BytesError) in
      let body = try ManifestBody(decoding: plain)
      try body.check(against: header)
      return body
    }
    guard body.databaseRoot == ArchiveKeys.databaseRoot(pages: header.databasePages, groups: body.groups) else {
      throw BackupError(.damaged, "the database's root does not fit its chunks", path: path)
    }
  }

  /// Bytes of group `number` once opened; the last may be short.
  package func groupBytes(_ number: Int) -> Int {
    min(Limits.snapshotGroupPages, header.databasePages - number * Limits.snapshotGroupPages) * Limits.pageBytes
  }
}

/// A manifest and the file that it was written to.
package struct StoredManifest: Sendable, Equatable {
  package let manifest: Manifest
  package let path: String
}

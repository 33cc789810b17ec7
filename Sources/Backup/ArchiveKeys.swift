// The keys of one account's archive, all derived from two that lie in its keyring.
//
// A chunk of the database is named by HMAC-SHA256 of its bytes and sealed under a key derived from its name, so equal
// content under equal keys shares one place, and no name tells what it stands for. Domain separation is by HKDF's info.

package import Base
package import Formats
package import OpenSSL

package struct ArchiveKeys: Sendable {
  package let account: AccountID
  private let chunkRoot: SecretBytes
  private let manifestRoot: SecretBytes
  private let databaseNames: SecretBytes
  private let recordingNames: SecretBytes
  /// Of the marks that a `FrameDigest` sums.
  let frameMarks: SecretBytes
  private let signing: SecretBytes
  /// Ed25519; what clients get to check manifests with.
  package let publicKey: [UInt8]

  package init(account: AccountID, archive: SecretBytes, signing: SecretBytes) {
    func derived(_ purpose: String) -> SecretBytes {
      HKDF.derive(key: archive, salt: account.bytes, info: Array("komora archive \(purpose) v1".utf8), count: 32)
    }
    self.account = account
    chunkRoot = derived("chunks")
    manifestRoot = derived("manifests")
    databaseNames = derived("database names")
    recordingNames = derived("recording names")
    frameMarks = derived("frame marks")
    self.signing = signing
    publicKey = Ed25519.publicKey(of: signing)
  }

  /// The name of a group of pages.
  package func name(ofDatabase pages: [UInt8]) -> ChunkName {
    ChunkName(bytes: HMACSHA256.authenticate(pages.span.bytes, key: databaseNames))
  }

  /// The name of chunk `number` of a recording, whatever its bytes: they never change once stored.
  package func name(of recording: RecordingID, chunk number: Int) -> ChunkName {
    var writer = ByteWriter(capacity: 24)
    writer.put(recording)
    writer.put(UInt64(number))
    return ChunkName(bytes: HMACSHA256.authenticate(writer.bytes.span.bytes, key: recordingNames))
  }

  package func cipher(for name: ChunkName) -> AESGCM {
    AESGCM(key: HKDF.derive(key: chunkRoot, salt: name.bytes, info: Array("chunk".utf8), count: 32))
  }

  package func cipher(forManifest id: SnapshotID) -> AESGCM {
    AESGCM(key: HKDF.derive(key: manifestRoot, salt: id.bytes, info: Array("manifest".utf8), count: 32))
  }

  package func sign(_ message: [UInt8]) -> [UInt8] { Ed25519.sign(message, private: signing) }

  package func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    Ed25519.verify(signature, of: message, public: publicKey)
  }

  /// What a manifest's root stands for: so many pages, these names in this order.
  package static func databaseRoot(pages: Int, groups: [ChunkName]) -> [UInt8] {
    let hasher = Hasher(.sha256)
    hasher.update(Array("komora database root v1".utf8))
    var count = ByteWriter(capacity: 8)
    count.put(UInt64(pages))
    hasher.update(count.bytes)
    for name in groups { hasher.update(name.bytes) }
    return hasher.finish()
  }
}

// What opens an archive: the account's own keys and those of its recordings, from the keyring's state beside the
// archive.

package import AtRest
package import Base
package import Disk
import Formats
package import OpenSSL

package final class ArchivedAccountKeys: RecordingOpener {
  package let archive: ArchiveKeys
  private let keyring: ArchivedKeyring
  private let coder: RecordingChunkCoder
  private let known: Set<RecordingID>

  /// A keyring's state is at most this long: its entries' limit, four to a sector.
  private static let stateBytesMax = 1 << 32

  /// Reads `keyring` in the archive. `.refused` when it is not there.
  package static func read(disk: any Disk, layout: ArchiveLayout, unlockedBy unlock: KeyringUnlock)
    throws(BackupError) -> ArchivedAccountKeys
  {
    let state: [UInt8]
    do throws(DiskError) { state = try disk.readAll(layout.keyring, limit: stateBytesMax) } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      throw BackupError(
        .refused, "the archive lacks the keyring's state; copy it from where the archive came from",
        path: layout.keyring)
    }
    do throws(AtRestError) {
      return ArchivedAccountKeys(try ArchivedKeyring(state: state, account: layout.account, unlockedBy: unlock))
    } catch { throw BackupError(error, path: layout.keyring) }
  }

  package init(_ keyring: ArchivedKeyring) {
    self.keyring = keyring
    archive = ArchiveKeys(account: keyring.account, archive: keyring.keys.archive, signing: keyring.keys.signing)
    coder = RecordingChunkCoder(account: keyring.account)
    known = Set(keyring.recordingIDs())
  }

  /// Names chunks of recordings; a restored account takes it over, since its rows hold such names.
  package var recordingName: SecretBytes { keyring.keys.recordingName }

  /// Wraps the keys of the log's epochs.
  package var logWrap: SecretBytes { keyring.keys.logWrap }

  /// Opens what is sealed to the account itself: its exports.
  package var agreement: SecretBytes { keyring.keys.agreement }

  package func hasKey(_ recording: RecordingID) -> Bool { known.contains(recording) }
  package func key(of recording: RecordingID) -> SecretBytes? { try? keyring.recordingKey(recording) }

  package func open(_ sealed: ArraySlice<UInt8>, number: Int, count: Int, of recording: RecordingID) -> OpenedChunk? {
    guard let key = try? keyring.recordingKey(recording),
      let coded = try? coder.openCoded(
        Array(sealed), number: number, isLast: number == count - 1, key: key, recording: recording),
      let original = try? coded.decoded()
    else { return nil }
    return OpenedChunk(original: original, coded: coded)
  }

  package func authenticate(
    _ bytes: inout [UInt8], _ place: Range<Int>, number: Int, count: Int, of recording: RecordingID
  ) -> Bool {
    guard let key = try? keyring.recordingKey(recording) else { return false }
    return coder.authenticate(
      &bytes, place, number: number, isLast: number == count - 1, key: key, recording: recording)
  }

  package func name(ofChunk original: [UInt8]) -> [UInt8] {
    HMACSHA256.authenticate(original.span.bytes, key: keyring.keys.recordingName)
  }
}

extension BackupError {
  init(_ error: AtRestError, path: String?) {
    let code: Code =
      switch error.code {
      case .wrongKey: .wrongKey
      case .notFound: .notFound
      case .exists: .exists
      case .damaged, .tooLarge: .damaged
      case .refused: .refused
      case .io, .closed: error.disk?.code == .full ? .diskFull : .io
      }
    self.init(code, error.message, path: path, offset: error.offset)
  }
}

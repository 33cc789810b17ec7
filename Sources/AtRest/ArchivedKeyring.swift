// A keyring's sealed copy, as it lies beside an archive: read, never changed.

package import Base
import Formats
package import OpenSSL

package final class ArchivedKeyring: Sendable {
  package let account: AccountID
  package let keys: AccountKeys
  private let bytes: [UInt8]
  private let image: KeyringImage
  private let sealer: KeyringSealer

  /// `state` is what `Keyring.exportState` gave. `.wrongKey`, or `.damaged` with the offset; a copy has no torn end.
  package init(state: [UInt8], account: AccountID, unlockedBy unlock: KeyringUnlock) throws(AtRestError) {
    image = try KeyringImage(size: UInt64(state.count)) { (count, offset) in
      Array(state[min(Int(offset), state.count)..<min(Int(offset) + count, state.count)])
    }
    guard !image.tornEnd else {
      throw AtRestError(.damaged, "bytes behind the keyring's end", at: Int(image.end.strange ?? image.end.offset))
    }
    guard image.header.account == account else {
      throw AtRestError(.wrongKey, "the keyring belongs to account \(image.header.account), not to \(account)")
    }
    sealer = KeyringSealer(account: account, accountKey: try unlock.accountKey(of: image.header))
    keys = try KeyringUnlock.keys(image, sealer) { (place) throws(AtRestError) in
      try Self.frame(state, place)
    }
    self.account = account
    bytes = state
  }

  /// Nil when the recording has no key.
  package func recordingKey(_ id: RecordingID) throws(AtRestError) -> SecretBytes? {
    guard let place = image.recordings[id] else { return nil }
    guard let key = sealer.open(try Self.frame(bytes, place)) else {
      throw AtRestError(.damaged, "an entry of the keyring does not open", at: Int(place))
    }
    return key
  }

  package func recordingIDs() -> [RecordingID] { Array(image.recordings.keys) }

  private static func frame(_ state: [UInt8], _ place: UInt64) throws(AtRestError) -> KeyringFrame {
    let end = min(Int(place) + KeyringFrame.sectorBytes, state.count)
    return try KeyringUnlock.frame(Array(state[Int(place)..<end]), at: place)
  }
}

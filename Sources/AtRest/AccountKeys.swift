// The keys that an account has once, as against those of its recordings.

import Base
import Formats
package import OpenSSL

package struct AccountKeys: Sendable {
  /// Wraps the keys of database files.
  package let pageWrap: SecretBytes
  /// Wraps the keys of the log's epochs.
  package let logWrap: SecretBytes
  /// Root of the archive's keys.
  package let archive: SecretBytes
  /// Keyed hash that names chunks of recordings.
  package let recordingName: SecretBytes
  /// Ed25519.
  package let signing: SecretBytes
  package let signingPublic: [UInt8]
  /// X25519.
  package let agreement: SecretBytes
  package let agreementPublic: [UInt8]

  static let kinds: [KeyringFrame.Kind] = [.pageWrap, .logWrap, .archive, .recordingName, .signing, .agreement]
  /// The id of an entry that an account has once.
  static let noID: UInt128 = 0

  /// `entry` gives the key of a kind.
  init(_ entry: (KeyringFrame.Kind) throws(AtRestError) -> SecretBytes) throws(AtRestError) {
    pageWrap = try entry(.pageWrap)
    logWrap = try entry(.logWrap)
    archive = try entry(.archive)
    recordingName = try entry(.recordingName)
    signing = try entry(.signing)
    agreement = try entry(.agreement)
    signingPublic = Ed25519.publicKey(of: signing)
    agreementPublic = X25519.publicKey(of: agreement)
  }
}

// Opens an account's records away from its shard, for a restore: keys first, pages as they come.

package import Base
package import Formats
package import OpenSSL

/// One thread at a time.
package final class RecordReplay {
  private let opener: RecordOpener

  /// `logWrap` is the account's key for logs, from its keyring.
  package init(logWrap: SecretBytes) { opener = RecordOpener(logWrap: logWrap, plain: false) }

  /// The pages of `record`; nil for other kinds. A record that carries its epoch's key must come before those that need
  /// it. `.damaged` when a seal does not hold.
  package func pages(of record: SealedRecord) throws(StoreError) -> PagesPayload? {
    if case .pages(let payload) = try opener.open(record) { payload } else { nil }
  }

  /// The recordings that `record` names; needs no epoch's key.
  package func recordings(of record: SealedRecord) throws(StoreError) -> [RecordingID] {
    if case .recordings(let payload) = try opener.open(record) { payload.ids } else { [] }
  }

  /// Takes the key that `record` carries, if it does.
  package func takeKey(of record: SealedRecord) throws(StoreError) {
    if record.header.carriesKey { _ = try opener.open(record) }
  }

  /// The page that `change` makes of `base`, which is what the page was before; checked against its hash.
  package static func image(of change: PageChange, from base: [UInt8], in record: Position) throws(StoreError)
    -> [UInt8]
  {
    let image = change.difference.applied(to: base)
    guard XXH64.hash(image) == change.hash else {
      throw StoreError(.damaged, "record \(record): page \(change.number) does not come out as it was written")
    }
    return image
  }
}

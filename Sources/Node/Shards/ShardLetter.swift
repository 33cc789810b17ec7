// An encoded message about one account, on its way to another node. Letters about one account keep their order.

package import Base

package struct ShardLetter: Sendable {
  package var account: AccountID
  package var bytes: [UInt8]

  package init(account: AccountID, bytes: [UInt8]) {
    self.account = account
    self.bytes = bytes
  }
}

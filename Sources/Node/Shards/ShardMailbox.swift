// What the engine's threads tell the loop about logs: noted under a lock, and the loop is woken once for a burst.

import Base
import Formats
import ShardStore
import Threads
import UVLoop

final class ShardMailbox: ReplicaSink {
  enum Note {
    case appended([SealedRecord])
    case synced(Position)
    case failed(Position)
  }

  struct Mail {
    let account: AccountID
    var note: Note
  }

  private let mails = Lock<[Mail]>([])
  private let loop: UVLoop
  private let wake: @Sendable () -> Void

  /// `wake` runs on the loop when there is mail.
  init(_ loop: UVLoop, wake: @escaping @Sendable () -> Void) { (self.loop, self.wake) = (loop, wake) }

  func appended(_ account: AccountID, _ records: [SealedRecord]) {
    put(Mail(account: account, note: .appended(records)))
  }
  func synced(_ account: AccountID, _ position: Position) { put(Mail(account: account, note: .synced(position))) }
  func failed(_ account: AccountID, end: Position) { put(Mail(account: account, note: .failed(end))) }

  /// In the order of their coming.
  func take() -> [Mail] {
    mails.with { mails in
      defer { mails = [] }
      return mails
    }
  }

  private func put(_ mail: Mail) {
    let isFirst = mails.with { mails in
      mails.append(mail)
      return mails.count == 1
    }
    if isFirst { loop.submit(wake) }
  }
}

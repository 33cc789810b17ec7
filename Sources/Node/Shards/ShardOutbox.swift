// Letters that wait to be sent to one node, by account: accounts take turns, so that one that catches up does not starve
// the others, and many small letters leave together.

import Base

package struct ShardOutbox {
  private struct Queue {
    var letters: [[UInt8]] = []
    var next = 0
  }

  private var queues: [AccountID: Queue] = [:]
  /// Accounts with something to send, in the order of their turns.
  private var turns: [AccountID] = []
  private var nextTurn = 0
  package private(set) var bytes = 0
  private let bytesMax: Int

  package init(bytesMax: Int) { self.bytesMax = bytesMax }

  package var isEmpty: Bool { nextTurn == turns.count }

  /// False, and nothing is kept, when too much waits already.
  package mutating func push(_ letter: ShardLetter) -> Bool {
    guard bytes + letter.bytes.count <= bytesMax || isEmpty else { return false }
    bytes += letter.bytes.count
    if queues[letter.account] == nil { turns.append(letter.account) }
    queues[letter.account, default: Queue()].letters.append(letter.bytes)
    return true
  }

  /// One letter of each account in turn, until there are `bytesWanted`; nil when nothing waits.
  package mutating func batch(_ bytesWanted: Int) -> [UInt8]? {
    guard !isEmpty else { return nil }
    var batch: [UInt8] = []
    while batch.count < bytesWanted, let letter = take() { MessageFrames.append(letter, to: &batch) }
    return batch
  }

  private mutating func take() -> [UInt8]? {
    guard !isEmpty else { return nil }
    let account = turns[nextTurn]
    nextTurn += 1
    if nextTurn > 256, nextTurn * 2 > turns.count {
      turns.removeFirst(nextTurn)
      nextTurn = 0
    }
    guard var queue = queues.removeValue(forKey: account) else { return nil }
    let letter = queue.letters[queue.next]
    queue.next += 1
    bytes -= letter.count
    if queue.next < queue.letters.count {
      if queue.next > 64, queue.next * 2 > queue.letters.count {
        queue.letters.removeFirst(queue.next)
        queue.next = 0
      }
      queues[account] = queue
      turns.append(account)
    } else if isEmpty {
      turns.removeAll(keepingCapacity: true)
      nextTurn = 0
    }
    return letter
  }

  mutating func clear() { self = ShardOutbox(bytesMax: bytesMax) }
}

// The root of a hash tree over any number of leaves, in memory that grows with the tree's height: RFC 6962 §2.1.
//
// A leaf is SHA-256(0x00 ‖ leaf), a node SHA-256(0x01 ‖ left ‖ right); the left part of n leaves has the largest power
// of two below n. No leaves have SHA-256 of nothing.

import OpenSSL

package struct MerkleTree {
  /// Whole subtrees from left to right, each smaller than the one before it.
  private var subtrees: [(leaves: Int, hash: [UInt8])] = []
  package private(set) var leaves = 0

  package init() {}

  package mutating func append(_ leaf: [UInt8]) {
    leaves += 1
    var last = (leaves: 1, hash: SHA256.hash([0] + leaf))
    while let left = subtrees.last, left.leaves == last.leaves {
      subtrees.removeLast()
      last = (left.leaves * 2, Self.node(left.hash, last.hash))
    }
    subtrees.append(last)
  }

  package var root: [UInt8] {
    guard var hash = subtrees.last?.hash else { return SHA256.hash([]) }
    for left in subtrees.dropLast().reversed() { hash = Self.node(left.hash, hash) }
    return hash
  }

  private static func node(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] { SHA256.hash([1] + left + right) }
}

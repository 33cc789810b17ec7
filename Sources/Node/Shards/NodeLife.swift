// A number that is greater with each start of this node: by it the others tell its processes apart.

package import Disk

package enum NodeLife {
  /// The next one, durable before it is given; blocks.
  package static func next(_ disk: any Disk, _ path: String) throws -> UInt64 {
    var last: UInt64 = 0
    if try disk.info(path) != nil {
      let text = String(decoding: try disk.readAll(path, limit: 64), as: UTF8.self)
      guard let number = UInt64(text.prefix { !$0.isNewline }), number < 1 << 62 else {
        throw NodeError(
          .io, "\(path) does not hold a number: restore it, or remove it only together with the node's id")
      }
      last = number
    }
    try disk.replaceFile(path, Array("\(last + 1)\n".utf8))
    return last + 1
  }
}

// A directory of its own for one test, removed with the object.

import Foundation

final class TemporaryDirectory {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "komora-control-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

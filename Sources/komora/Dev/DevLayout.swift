// Where `komora dev` keeps what below its directory.

import Foundation
import Node

struct DevLayout: Sendable {
  let root: String

  var lock: String { root + "/dev.lock" }
  var ca: String { root + "/ca/ca.pem" }
  var caKey: String { root + "/ca/ca.key" }
  var server: String { root + "/ca/server.pem" }
  var serverKey: String { root + "/ca/server.key" }

  /// The region in a node's configuration.
  static func region(_ path: String) throws(ConfigurationError) -> String {
    try NodeConfiguration.load(file: path, environment: [:]).region
  }

  static func port(_ path: String) throws(ConfigurationError) -> Int {
    try NodeConfiguration.load(file: path, environment: [:]).listen.api.port
  }

  func node(_ name: String) -> Node { Node(root: root + "/" + name) }

  struct Node {
    let root: String
    var configuration: String { root + "/node.toml" }
    var token: String { root + "/admin.token" }
    var pid: String { root + "/komora.pid" }
  }
}

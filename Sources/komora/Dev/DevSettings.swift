// What `komora dev` was asked for.

struct DevSettings: Sendable {
  var layout: DevLayout
  var port: Int
  /// One for each node.
  var regions: [String]
  var respawns: Bool
  var logLevel: String
  /// Path of the profile that is written.
  var profile: String

  /// More than one node, or a directory that holds a cluster already.
  var isCluster: Bool

  var names: [String] { regions.indices.map { "node\($0 + 1)" } }
  func port(of node: Int) -> Int { port + 10 * node }
  func url(of node: Int) -> String { "https://localhost:\(port(of: node))" }
  var url: String { url(of: 0) }
  var s3URL: String { "https://localhost:\(port + 1)" }
  var urls: [String] { regions.indices.map(url(of:)) }

  var s3URLs: [String] { regions.indices.map { "https://localhost:\(port(of: $0) + 1)" } }

  /// API, S3, fabric; in a cluster etcd's two behind them.
  var ports: [Int] {
    regions.indices.flatMap { node in (0..<(isCluster ? 5 : 2)).map { port(of: node) + $0 } }
  }
}

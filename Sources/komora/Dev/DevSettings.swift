// What `komora dev` was asked for.

struct DevSettings: Sendable {
  var layout: DevLayout
  var port: Int
  var respawns: Bool
  var logLevel: String
  /// Path of the profile that is written.
  var profile: String

  static let nodeName = "node1"
  var url: String { "https://localhost:\(port)" }
  var s3URL: String { "https://localhost:\(port + 1)" }
}

// The options that every command to a node takes, and where a connection comes from: options, then the environment,
// then the profile.

import ArgumentParser
import Foundation

struct ConnectionOptions: ParsableArguments {
  @Option(help: "The node's address, such as https://127.0.0.1:7400 (KOMORA_URL).")
  var url: String?

  @Option(help: "An administrator's token (KOMORA_TOKEN); it shows in the process list, so prefer --token-file.")
  var token: String?

  @Option(help: "A file with the token, or - for standard input.")
  var tokenFile: String?

  @Option(help: "The certificate of the CA that the node's certificate comes from, PEM (KOMORA_CA).")
  var ca: String?

  @Flag(help: "Print JSON instead of tables.")
  var json = false

  func settings(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(CommandFailure) -> ConnectionSettings {
    let profile = try Profile.load(Profile.path(environment))
    guard let address = url ?? environment["KOMORA_URL"] ?? profile?.url else {
      throw CommandFailure(.usage, "no node is named: start one with `komora dev`, or give --url")
    }
    // A token is sent only to the nodes that it was written down for.
    let known = profile.flatMap { $0.url == address || $0.urls.contains(address) ? $0 : nil }
    var token = token
    if let tokenFile { token = try PrivateFile.readLine(tokenFile) }
    return ConnectionSettings(
      urls: [address] + (known?.urls ?? []).filter { $0 != address }, s3URL: known?.s3URL, s3URLs: known?.s3URLs ?? [],
      token: token ?? environment["KOMORA_TOKEN"] ?? known?.token, ca: ca ?? environment["KOMORA_CA"] ?? known?.ca)
  }
}

struct ConnectionSettings: Equatable {
  /// The first that answers is used.
  var urls: [String]
  var s3URL: String?
  var s3URLs: [String] = []
  var token: String?
  var ca: String?
}

// The profile: how this person's commands reach a node. `komora dev` writes it; mode 0600, since it holds a token.

import Foundation
import Node

struct Profile: Equatable {
  var url: String
  var s3URL: String?
  var token: String?
  var ca: String?
  /// Every node's address; the next one is tried when one does not answer.
  var urls: [String] = []
  /// Every node's S3 port, in the order of `urls`.
  var s3URLs: [String] = []

  /// KOMORA_PROFILE, else below XDG_CONFIG_HOME, else below ~/.config.
  static func path(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
    if let path = environment["KOMORA_PROFILE"], !path.isEmpty { return path }
    let base =
      environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
      ?? (environment["HOME"] ?? NSHomeDirectory()) + "/.config"
    return base + "/komora/profile.toml"
  }

  /// Nil when there is none.
  static func load(_ path: String) throws(CommandFailure) -> Profile? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    do {
      let document = try TOMLDocument(String(decoding: data, as: UTF8.self), source: path)
      guard let url = document["", "url"]?.text else {
        throw CommandFailure(.usage, "\(path) has no `url`: run `komora dev` again, or give --url")
      }
      return Profile(
        url: url, s3URL: document["", "s3_url"]?.text, token: document["", "token"]?.text, ca: document["", "ca"]?.text,
        urls: document["", "urls"]?.texts ?? [url], s3URLs: document["", "s3_urls"]?.texts ?? [])
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.usage, "\(error): correct the profile, or give --url")
    }
  }

  func save(_ path: String) throws(CommandFailure) {
    func quoted(_ text: String) -> String { NodeConfiguration.quote(text) }
    var lines = ["# Written by `komora dev`.", "url = \(quoted(url))"]
    if let s3URL { lines.append("s3_url = \(quoted(s3URL))") }
    if let token { lines.append("token = \(quoted(token))") }
    if let ca { lines.append("ca = \(quoted(ca))") }
    lines.append("urls = [\(urls.map(quoted).joined(separator: ", "))]")
    if !s3URLs.isEmpty { lines.append("s3_urls = [\(s3URLs.map(quoted).joined(separator: ", "))]") }
    try PrivateFile.write(path, Array((lines.joined(separator: "\n") + "\n").utf8))
  }
}

// `komora key revoke --account A ACCESS-KEY`

import ArgumentParser

struct KeyRevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "Revoke a key at once: its secret and its token.")

  @OptionGroup var account: AccountOption

  @Argument(help: "The access key, as `komora key list` shows it.")
  var accessKey: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    _ = try await APIClient.with(connection) { try await $0.delete("\(account.path)/keys/\(accessKey.pathSegment)") }
    if connection.json {
      Terminal.line(JSONValue.object(["revoked": .text(accessKey)]).encoded(pretty: true))
    } else {
      Terminal.line("\(accessKey) is revoked.")
    }
  }
}

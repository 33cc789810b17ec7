// `komora key create --account A`

import ArgumentParser

struct KeyCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a key: an access key and secret for S3, and a token for SQL.")

  @OptionGroup var account: AccountOption

  @Option(help: "What the key is for; shown in lists.")
  var label = ""

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let key = try await APIClient.with(connection) { client in
      try await client.post("\(account.path)/keys", .object(["label": .text(label)]))
    }
    Show.object(
      key, [("access key", "access_key"), ("secret key", "secret_key"), ("token", "token"), ("label", "label")],
      json: connection.json)
    if !connection.json { Terminal.note("The secrets are shown this once; Komora cannot show them again.") }
  }
}

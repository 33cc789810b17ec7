// `komora account create NAME`

import ArgumentParser

struct AccountCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "create", abstract: "Make an account.")

  @Argument(help: "3 to 63 lower-case letters, digits and hyphens.")
  var name: String

  @Option(help: "The region that serves it; default: the node's.")
  var home: String?

  @Option(help: "What an acknowledged write must survive the loss of: node or region.")
  var survive: String?

  @Option(help: "Regions that may hold its data, with commas between.")
  var residency: String?

  @Option(help: "Its time zone, such as Europe/Kyiv: nightly snapshots follow it.")
  var timezone: String?

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    var body: [String: JSONValue] = ["name": .text(name)]
    if let home { body["home"] = .text(home) }
    if let survive { body["survive"] = .text(survive) }
    if let timezone { body["timezone"] = .text(timezone) }
    if let residency { body["residency"] = .list(residency.split(separator: ",").map { .text(String($0)) }) }
    let account = try await APIClient.with(connection) { try await $0.post("/v1/accounts", .object(body)) }
    Show.object(account, AccountCommand.members, json: connection.json)
    AccountCommand.warnAboutSurvival(account, json: connection.json)
  }
}

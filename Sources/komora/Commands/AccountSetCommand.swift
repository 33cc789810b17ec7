// `komora account set NAME`: other wishes for an account, later and without a stop.

import ArgumentParser

struct AccountSetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Change what an account is to survive, where it is at home, and where its data may lie.",
    discussion: "The change is a wish: the cluster moves replicas one after the other, while the account is used.")

  @Argument(help: "The account's name.")
  var name: String

  @Option(help: "The region that serves it.")
  var home: String?

  @Option(help: "What an acknowledged write must survive the loss of: none, node or region.")
  var survive: String?

  @Option(help: "Regions that may hold its data, with commas between; an empty text allows all.")
  var residency: String?

  @Option(help: "Its time zone, such as Europe/Kyiv: nightly snapshots follow it.")
  var timezone: String?

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard home != nil || survive != nil || residency != nil || timezone != nil else {
      throw ValidationError("Give --home, --survive, --residency or --timezone.")
    }
  }

  func run() async throws {
    var body: [String: JSONValue] = [:]
    if let home { body["home"] = .text(home) }
    if let survive { body["survive"] = .text(survive) }
    if let timezone { body["timezone"] = .text(timezone) }
    if let residency { body["residency"] = .list(residency.split(separator: ",").map { .text(String($0)) }) }
    let account = try await APIClient.with(connection) {
      try await $0.patch("/v1/accounts/\(name.pathSegment)", .object(body))
    }
    Show.object(account, AccountCommand.members, json: connection.json)
    AccountCommand.warnAboutSurvival(account, json: connection.json)
  }
}

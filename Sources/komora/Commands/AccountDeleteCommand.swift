// `komora account delete NAME`: asks on a terminal, wants --yes elsewhere.

import ArgumentParser

struct AccountDeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete an account; its archive stays for the retention and can be restored under a name.")

  @Argument(help: "The account's name.")
  var name: String

  @Flag(help: "Do not ask.")
  var yes = false

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    guard yes || confirmed() else {
      throw CommandFailure(.refused, "nothing was deleted: give --yes to delete \(name) without being asked")
    }
    _ = try await APIClient.with(connection) { try await $0.delete("/v1/accounts/\(name.pathSegment)") }
    if connection.json {
      Terminal.line(JSONValue.object(["deleted": .text(name)]).encoded(pretty: true))
    } else {
      Terminal.line("\(name) is deleted; its snapshots stay for the retention.")
    }
  }

  private func confirmed() -> Bool {
    guard Terminal.isInteractive else { return false }
    Terminal.draw("Delete account \(name) with everything in it? Type its name: ")
    return readLine() == name
  }
}

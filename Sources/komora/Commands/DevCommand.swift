// `komora dev`: one node on this machine, with its own CA, keys and profile, in one go.

import ArgumentParser
import Foundation

struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev",
    abstract: "Run one node on this machine with everything that it needs; a second start goes on with the same data.")

  @Option(help: "The directory of everything; default: ~/.local/share/komora-dev.")
  var data: String?

  @Option(help: "The API's port; S3 listens on the next one.")
  var port = 7400

  @Flag(help: "End when the node ends, instead of starting it again after 3 s.")
  var noRespawn = false

  @Option(help: "The least that the node logs: debug, info, notice, warning, error.")
  var logLevel = "notice"

  func validate() throws {
    guard (1...65_533).contains(port) else { throw ValidationError("--port wants a number from 1 to 65533.") }
  }

  func run() async throws {
    let environment = ProcessInfo.processInfo.environment
    let base = environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory() + "/.local/share"
    let root = URL(fileURLWithPath: data ?? base + "/komora-dev").standardizedFileURL.path
    let supervisor = try DevSupervisor(
      DevSettings(
        layout: DevLayout(root: root), port: port, respawns: !noRespawn, logLevel: logLevel,
        profile: Profile.path(environment)))
    try await supervisor.run()
  }
}

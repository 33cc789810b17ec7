// `komora snapshot create --account A`: waits until it is stored and proven.

import ArgumentParser

struct SnapshotCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "create", abstract: "Take a snapshot now, and prove it.")

  @OptionGroup var account: AccountOption
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let result = try await APIClient.with(connection) { client in
      let started = try await client.post("\(account.path)/snapshots", .object([:]))
      let job = try await client.wait(started, "snapshot", json: connection.json)
      // Shown as `snapshot show` does, whatever the job says of it.
      guard let id = job["result"]?["snapshot"]?.text else { return job["result"] ?? .null }
      var shown = try await client.get("\(account.path)/snapshots/\(id.pathSegment)").object ?? [:]
      for name in ["stored_seconds", "proven_seconds"] { shown[name] = job["result"]?[name] }
      return .object(shown)
    }
    if connection.json {
      Terminal.line(result.encoded(pretty: false))
    } else {
      let times = [("seconds until stored", "stored_seconds"), ("until proven", "proven_seconds")]
      Show.object(result, SnapshotCommand.members + times, json: false)
    }
  }
}

// `komora snapshot …`

import ArgumentParser

struct SnapshotCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot",
    abstract: "Take, list, show and verify an account's snapshots; get single recordings out of them.",
    subcommands: [
      SnapshotCreateCommand.self, SnapshotListCommand.self, SnapshotShowCommand.self, SnapshotVerifyCommand.self,
      SnapshotGetCommand.self,
    ])

  static let members: [(title: String, name: String)] = [
    ("id", "id"), ("created", "created_at"), ("kind", "kind"), ("state", "state"), ("size", "bytes"),
    ("added", "added_bytes"), ("database", "database_bytes"), ("recordings", "recordings"), ("position", "position"),
  ]
}

// `komora job …`

import ArgumentParser

struct JobCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "job", abstract: "Show and end long work: snapshots, restores, verifications, comparisons, exports.",
    subcommands: [JobListCommand.self, JobShowCommand.self, JobCancelCommand.self])

  static let members: [(title: String, name: String)] = [
    ("id", "id"), ("kind", "kind"), ("account", "account"), ("state", "state"), ("progress", "progress"),
    ("message", "message"), ("created", "created_at"), ("finished", "finished_at"),
  ]
}

// `komora export …`: everything of an account, in open formats, for whom it belongs to.

import ArgumentParser

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Make, list, show, fetch and remove archive exports of an account.",
    discussion: """
      An export is one file: a tar archive in zstd, of one moment, with the database, its tables as CSV, the recordings \
      in their original bytes, and a signed list that anybody can check. `komora verify` and the verify.py in it do so.
      """,
    subcommands: [
      ExportCreateCommand.self, ExportListCommand.self, ExportShowCommand.self, ExportGetCommand.self,
      ExportCancelCommand.self,
    ])

  static let members: [(title: String, name: String)] = [
    ("id", "id"), ("state", "state"), ("created", "created_at"), ("position", "position"), ("from", "from"),
    ("to", "to"),
    ("goes on from", "previous"), ("file", "file"), ("size", "bytes"), ("recordings", "recordings"),
    ("of them", "recording_bytes"), ("recipients", "recipients"), ("parts of", "part_bytes"), ("sha256", "sha256"),
    ("root", "root"), ("signed by", "public_key"), ("node", "node"), ("job", "job"),
  ]
}

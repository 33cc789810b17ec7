// `komora snapshot verify --account A [ID | --snapshot ID | --all]`: reads back what snapshots refer to, all of it or a part.

import ArgumentParser

struct SnapshotVerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read snapshots back and compare; the newest one when none is named.",
    discussion: """
      Every byte is read and authenticated. What a proof says was decoded, byte for byte as it lies there now, by the \
      same decoders, is not decoded again but for one chunk of 64, others each time; --decode decodes everything.
            With --sample or --budget a part is read, and the archive keeps where the next run goes on, so that repeated runs \
      cover everything.
      """)

  @OptionGroup var account: AccountOption

  @Argument(help: "The snapshot's id.")
  var id: String?

  @Option(name: .customLong("snapshot"), help: "The same as an option.")
  var snapshot: String?

  @Flag(help: "All snapshots of the archive, each chunk once.")
  var all = false

  @OptionGroup var extent: VerifyExtentOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard [id != nil, snapshot != nil, all].count(where: { $0 }) <= 1 else {
      throw ValidationError("Give one snapshot or --all.")
    }
    try extent.check()
  }

  func run() async throws {
    let job = try await APIClient.with(connection) { client in
      var body = try extent.members
      if let id = id ?? snapshot { body["snapshot"] = .text(id) }
      if all { body["all"] = .boolean(true) }
      let started = try await client.post("\(account.path)/verify", .object(body))
      return try await client.wait(started, "verify", json: connection.json, showing: "findings")
    }
    let result = job["result"] ?? .null
    if connection.json { return Terminal.line(result.encoded(pretty: false)) }
    for finding in job["findings"]?.list ?? [] { Terminal.line(Self.line(finding)) }
    Show.object(result, Self.members, json: false)
    Terminal.line(result["complete"]?.text == "false" ? "whole as far as it was read" : "whole")
  }

  static func line(_ finding: JSONValue) -> String {
    "\(finding["path"]?.text ?? "") at byte \(finding["offset"]?.integer ?? 0): \(finding["message"]?.text ?? "")"
  }

  private static let members: [(title: String, name: String)] = [
    ("snapshots", "snapshots"), ("chunks", "chunks"), ("of", "chunks_all"), ("read", "bytes"),
    ("decoded now", "chunks_decoded"), ("proven earlier", "chunks_proven_earlier"), ("proven", "proven_at"),
    ("part of all", "fraction"), ("one damaged chunk is missed with", "miss_probability"),
    ("everything chosen", "complete"), ("databases checked now", "database_checked"),
    ("now or when proven", "database_proven"), ("moments made", "moments"),
    ("last round begun", "last_round_begun"), ("last round ended", "last_round_ended"),
  ]
}

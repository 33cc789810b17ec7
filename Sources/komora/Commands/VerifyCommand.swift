// `komora verify PATH…`

import ArgumentParser

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check files that Komora wrote: snapshots, archives, log segments, volumes.")
  func run() async throws {}
}

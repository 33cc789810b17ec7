// `komora keys rotate --config FILE`: a new key-encryption key for a node that is stopped. Every account's key is
// wrapped anew; no data is rewritten. It can be run again after it was interrupted.

import ArgumentParser
import Foundation
import Node

struct KeysRotateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate", abstract: "Give a stopped node a new key-encryption key; no data is rewritten.")

  @Option(help: "The node's TOML file.")
  var config: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    let configuration: NodeConfiguration
    do throws(ConfigurationError) {
      configuration = try NodeConfiguration.load(file: config, environment: ProcessInfo.processInfo.environment)
    } catch {
      throw CommandFailure(.usage, error.description)
    }
    let report: KeyRotation.Report
    do throws(NodeError) {
      report = try await KeyRotation.run(configuration)
    } catch {
      let kinds: [NodeError.Code: CommandFailure.Kind] = [
        .notFound: .notFound, .refused: .refused, .unavailable: .unavailable, .invalid: .usage, .exists: .refused,
      ]
      throw CommandFailure(kinds[error.code] ?? .failed, error.message)
    }
    if json {
      Terminal.line(
        JSONValue.object(["accounts": .integer(Int64(report.accounts)), "key_id": .text(report.keyID)]).encoded(
          pretty: true))
    } else {
      Terminal.line("\(report.accounts) accounts are under the new key \(report.keyID); the old key is removed.")
    }
  }
}

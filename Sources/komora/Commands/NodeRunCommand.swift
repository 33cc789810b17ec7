// `komora node run --config FILE`: a node in the foreground, until SIGTERM or SIGINT.

import ArgumentParser
import Foundation
import Logging
import Node

struct NodeRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Run a node in the foreground.")

  @Option(help: "The node's TOML file.")
  var config: String

  @Option(help: "The least that is logged: debug, info, notice, warning, error.")
  var logLevel = "info"

  @Flag(help: .hidden)
  var stopAtEndOfInput = false

  func run() async throws {
    guard let level = Logger.Level(rawValue: logLevel) else {
      throw CommandFailure(.usage, "no such log level: choose debug, info, notice, warning or error")
    }
    let configuration: NodeConfiguration
    do throws(ConfigurationError) {
      configuration = try NodeConfiguration.load(file: config, environment: ProcessInfo.processInfo.environment)
    } catch {
      throw CommandFailure(.usage, error.description)
    }
    ProcessHardening.apply()
    LoggingSystem.bootstrap { LogfmtHandler(label: $0, level: level) }
    try await NodeProcess(configuration: configuration, stopAtEndOfInput: stopAtEndOfInput).run()
  }
}

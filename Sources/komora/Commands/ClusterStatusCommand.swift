// `komora cluster status [--watch]`: regions, nodes, round trips, health, voters, and the last change, at a glance.

import ArgumentParser
import Foundation

struct ClusterStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the cluster as the asked node sees it.")

  @Flag(help: "Show it again and again until it is interrupted.")
  var watch = false

  @Option(help: "Seconds between two looks with --watch.")
  var interval = 2.0

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard (0.1...3600).contains(interval) else { throw ValidationError("--interval wants 0.1 to 3600 seconds.") }
  }

  func run() async throws {
    try await APIClient.with(connection) { client in
      repeat {
        do throws(CommandFailure) {
          let status = try await client.get("/v1/cluster")
          show(connection.json ? status.encoded(pretty: !watch) : ClusterScreen(status).text)
        } catch {
          // A cluster that is being watched may be away for a while.
          guard watch else { throw error }
          show("\(Self.time)  \(error.message)")
        }
        if watch { try await Task.sleep(for: .seconds(interval)) }
      } while watch
    }
  }

  private func show(_ text: String) {
    // Home, and clear to the end: no flicker. Into a pipe, one picture after the other.
    Terminal.line(watch && !connection.json && isatty(STDOUT_FILENO) == 1 ? "\u{1B}[H\u{1B}[J" + text : text)
  }

  private static var time: String { Date().formatted(.iso8601) }
}

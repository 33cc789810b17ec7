// The one binary. Each command lies in a file of its own under Commands; what they share lies under Shared.

package import ArgumentParser
import Foundation

@main
package struct Komora: AsyncParsableCommand {
  package init() {}

  package static let configuration = CommandConfiguration(
    commandName: "komora",
    abstract: "Storage and backup of business accounts: isolated, encrypted, restorable from any day.",
    version: Version.text,
    subcommands: [
      DevCommand.self, NodeCommand.self, ClusterCommand.self, AccountCommand.self, KeyCommand.self, ImportCommand.self,
      SnapshotCommand.self, RestoreCommand.self, MergeCommand.self, DiffCommand.self, ExportCommand.self,
      VerifyCommand.self, JobCommand.self,
      KeysCommand.self, DoctorCommand.self, ReadDatabaseCommand.self, BesideInputCommand.self,
    ])

  /// Parses, runs, and ends the process with the exit code that the contract names.
  package static func main() async {
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let failure as CommandFailure {
      Terminal.error("komora: \(failure.message)")
      Foundation.exit(failure.kind.rawValue)
    } catch {
      let code = exitCode(for: error)
      let message = fullMessage(for: error)
      guard code == .success else {
        Terminal.error(message)
        // ArgumentParser says 64 (EX_USAGE) where the contract says 2.
        Foundation.exit(
          code == .validationFailure ? CommandFailure.Kind.usage.rawValue : CommandFailure.Kind.failed.rawValue)
      }
      print(message)
    }
  }
}

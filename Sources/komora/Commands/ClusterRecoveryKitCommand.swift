// `komora cluster recovery-kit (--recipient age1… | --passphrase-file F) --out FILE`

import ArgumentParser

struct ClusterRecoveryKitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recovery-kit",
    abstract: "Write what a new node needs to become the cluster's issuer when the last one is lost.")

  @OptionGroup var file: SealedFileOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    try await file.write(
      from: "/v1/cluster/recovery-kit", connection,
      advice: "whoever opens it can let nodes into the cluster; keep it offline.")
  }
}

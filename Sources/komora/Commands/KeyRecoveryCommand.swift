// `komora key recovery --account A (--recipient age1… | --passphrase-file F) --out FILE`

import ArgumentParser

struct KeyRecoveryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recovery",
    abstract: "Write an account's recovery file: with it and the archive's files the account comes back without a node."
  )

  @OptionGroup var account: AccountOption
  @OptionGroup var file: SealedFileOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    try await file.write(
      from: "\(account.path)/recovery", connection,
      advice: "keep it away from the archive; whoever has both can read the account.")
  }
}

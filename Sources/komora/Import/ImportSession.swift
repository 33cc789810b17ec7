// An import's own API key: made at its beginning, revoked at its end; a key that a killed import left is revoked by the
// next one.

import Foundation

struct ImportSession {
  var state: ImportState
  /// No earlier run has left anything: what it had sent may have come without its knowing.
  let isFirstRun: Bool
  let statePath: String
  let accessKey: String
  let secretKey: String
  let token: String

  static func begin(
    _ client: APIClient, account: AccountOption, source: String
  ) async throws(CommandFailure) -> ImportSession {
    let path = ImportState.path(source: source, account: account.account)
    let isFirstRun = !FileManager.default.fileExists(atPath: path)
    var state = try ImportState.load(path, source: source, account: account.account)
    if let old = state.accessKey { await revoke(old, client, account) }
    let key = try await client.post("\(account.path)/keys", .object(["label": .text("komora import")]))
    guard let accessKey = key["access_key"]?.text, let secretKey = key["secret_key"]?.text,
      let token = key["token"]?.text
    else { throw CommandFailure(.failed, "the node made no key: check that node and command have the same version") }
    state.accessKey = accessKey
    try state.save(path)
    return ImportSession(
      state: state, isFirstRun: isFirstRun, statePath: path, accessKey: accessKey, secretKey: secretKey, token: token)
  }

  func end(_ client: APIClient, account: AccountOption) async throws(CommandFailure) {
    _ = try await client.delete("\(account.path)/keys/\(accessKey)")
    ImportState.remove(statePath)
  }

  func abandon(_ client: APIClient, account: AccountOption, after error: any Error) async {
    await Self.revoke(accessKey, client, account)
    // Nothing was done, and that is certain: there is nothing to go on with. A first step whose answer never came, in this
    // run or an earlier one, must go on under its own number.
    guard isFirstRun, let failure = error as? CommandFailure, failure.kind != .unavailable else { return }
    let reached = try? ImportState.load(statePath, source: state.source, account: account.account)
    if reached?.stepsDone == 0 { ImportState.remove(statePath) }
  }

  private static func revoke(_ key: String, _ client: APIClient, _ account: AccountOption) async {
    // It may be gone already.
    _ = try? await client.delete("\(account.path)/keys/\(key)")
  }
}

// How far an import has come, in a file beside the person's other state, so that a killed import goes on.
//
// It holds no secret: only which file went where, how many steps are done, and the access key that has to be revoked.

import Base
import Foundation
import OpenSSL

struct ImportState: Codable, Equatable {
  /// How an import is cut into steps. It changes with every change of that: what another release has begun cannot go on
  /// here, where the same number means another step.
  static let stepsLayout = 2

  var layout: Int? = Self.stepsLayout
  /// Part of every idempotency key; drawn for each import.
  var id: String
  var source: String
  /// Size and time of the last change: another file of the same name starts anew.
  var sourceStamp: String
  var account: String
  var stepsDone = 0
  var accessKey: String?

  static func path(
    source: String, account: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> String {
    let base =
      environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
      ?? (environment["HOME"] ?? NSHomeDirectory()) + "/.local/state"
    let name = SHA256.hash(Array("\(account)\n\(source)".utf8)).prefix(16)
    return "\(base)/komora/imports/\(Array(name).hex).json"
  }

  static func stamp(_ path: String) throws(CommandFailure) -> String {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
      throw CommandFailure(.notFound, "cannot read \(path): give the path of a file or directory")
    }
    let date = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
    return "\(attributes[.size] as? Int ?? 0) \(date)"
  }

  /// What an earlier run left for the same source and account, else a new one.
  static func load(_ path: String, source: String, account: String) throws(CommandFailure) -> ImportState {
    let stamp = try stamp(source)
    if let data = FileManager.default.contents(atPath: path),
      let state = try? JSONDecoder().decode(ImportState.self, from: data), state.sourceStamp == stamp,
      state.account == account
    {
      guard state.layout == stepsLayout || state.stepsDone == 0 else {
        throw CommandFailure(
          .refused,
          "another release of komora has begun to import this into \(account): end it with that release, or remove \(path) "
            + "and import into an empty account")
      }
      var state = state
      state.layout = stepsLayout
      return state
    }
    return ImportState(
      id: SystemRandom.bytes(12).hex, source: source, sourceStamp: stamp, account: account)
  }

  func save(_ path: String) throws(CommandFailure) {
    guard let data = try? JSONEncoder().encode(self) else { return }
    try PrivateFile.write(path, Array(data))
  }

  static func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }
}

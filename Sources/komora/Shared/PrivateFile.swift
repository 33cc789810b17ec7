// Files that only their owner may read: tokens, keys, profiles.

import Foundation
import Glibc

enum PrivateFile {
  /// As the lower layers want paths: from the root, without `.` and `..`.
  static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

  /// Replaces `path` in one step, mode 0600; directories above it are made with mode 0700.
  static func write(_ path: String, _ bytes: [UInt8]) throws(CommandFailure) {
    let url = URL(fileURLWithPath: path)
    let temporary = path + ".new"
    do {
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw CommandFailure(.failed, "cannot make the directory of \(path): \(reason(error))")
    }
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("write", path) }
    let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: Data(bytes))
      try handle.synchronize()
      try handle.close()
    } catch {
      unlink(temporary)
      throw CommandFailure(.failed, "cannot write \(path): \(reason(error))")
    }
    guard rename(temporary, path) == 0 else { throw failure("write", path) }
  }

  /// The whole file, as text without white space at its ends; for tokens and passphrases.
  static func readLine(_ path: String) throws(CommandFailure) -> String {
    try readText(path).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// The whole file; `-` is standard input.
  static func readText(_ path: String) throws(CommandFailure) -> String {
    let data = path == "-" ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
    guard let data, data.count <= 1 << 16 else {
      throw CommandFailure(.usage, "cannot read \(path): give another file")
    }
    return String(decoding: data, as: UTF8.self)
  }

  private static func failure(_ verb: String, _ path: String) -> CommandFailure {
    CommandFailure(.failed, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
  }

  private static func reason(_ error: any Error) -> String { error.localizedDescription }
}

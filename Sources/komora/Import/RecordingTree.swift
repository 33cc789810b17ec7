// The regular files below a directory, with the keys that they get: their paths from there, with slashes.

import Foundation

struct RecordingTree {
  struct File: Equatable {
    var path: String
    var key: String
    var bytes: Int64
  }

  private(set) var files: [File] = []
  /// What is not taken, in words.
  private(set) var notes: [String] = []

  init(_ directory: String) throws(CommandFailure) {
    let root = URL(fileURLWithPath: directory).standardizedFileURL
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: root.path, isDirectory: &isDirectory), isDirectory.boolValue else {
      throw CommandFailure(.notFound, "\(directory) is no directory: give the one that holds the recordings")
    }
    walk(root.path, prefix: "")
    files.sort { $0.key < $1.key }
  }

  private mutating func walk(_ directory: String, prefix: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    for name in names.sorted() {
      let path = directory + "/" + name
      let key = prefix + name
      // Not following links: what lies elsewhere was not named.
      let attributes = try? FileManager.default.attributesOfItem(atPath: path)
      switch attributes?[.type] as? FileAttributeType {
      case .typeDirectory?: walk(path, prefix: key + "/")
      case .typeRegular? where key.utf8.count > 1024: notes.append("\(path) has a path of more than 1,024 bytes")
      case .typeRegular? where key.contains("\u{FFFD}"): notes.append("\(path) has a name that is not UTF-8")
      case .typeRegular?:
        files.append(File(path: path, key: key, bytes: Int64(attributes?[.size] as? Int ?? 0)))
      default: notes.append("\(path) is no regular file")
      }
    }
  }

  static func contentType(_ key: String) -> String {
    let types = [
      "wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg", "ogg": "audio/ogg", "flac": "audio/flac",
      "ulaw": "audio/basic", "au": "audio/basic", "gsm": "audio/gsm", "m4a": "audio/mp4", "json": "application/json",
      "txt": "text/plain", "xml": "application/xml",
    ]
    let name = key.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: ".") else { return "application/octet-stream" }
    return types[name[name.index(after: dot)...].lowercased()] ?? "application/octet-stream"
  }
}

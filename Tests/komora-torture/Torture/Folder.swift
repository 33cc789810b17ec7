// Directories of the runs: made, copied from a template, removed.

import Disk
import Glibc

enum Folder {
  static func make(below parent: String) -> String {
    var template = Array((parent + "/komora-torture-XXXXXX").utf8CString)
    return template.withUnsafeMutableBufferPointer { buffer in
      guard let path = mkdtemp(buffer.baseAddress!) else { fatalError("cannot make a directory below \(parent)") }
      return String(cString: path)
    }
  }

  /// Memory when there is some: a killed process loses nothing of it, and syncs are free.
  static var fast: String { access("/dev/shm", W_OK) == 0 ? "/dev/shm" : slow }
  static var slow: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

  static func copy(_ from: String, to: String) {
    let disk = RealDisk()
    do {
      try disk.makeDirectory(to)
      for name in try disk.list(from) {
        let (source, target) = ("\(from)/\(name)", "\(to)/\(name)")
        if try disk.info(source)?.isDirectory == true {
          copy(source, to: target)
        } else {
          let file = try disk.open(target, .create)
          try file.write(try disk.readAll(source, limit: 1 << 30), at: 0)
        }
      }
    } catch { fatalError("cannot copy \(from): \(error)") }
  }

  static func remove(_ path: String) {
    let disk = RealDisk()
    for name in (try? disk.list(path)) ?? [] {
      let child = "\(path)/\(name)"
      if (try? disk.info(child))?.isDirectory == true { remove(child) } else { try? disk.remove(child) }
    }
    try? disk.removeDirectory(path)
  }
}

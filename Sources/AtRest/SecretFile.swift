// Small files with key material: opened without following links, refused when others than the owner may read them.

import Disk
import Glibc
import OpenSSL

enum SecretFile {
  /// Content of a regular file of at most `limit` bytes.
  static func read(_ path: String, limit: Int, secret: Bool) throws(AtRestError) -> [UInt8] {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      let number = errno
      if number == ENOENT { throw AtRestError(.notFound, "no such file: \(path)") }
      throw AtRestError(.io, "cannot open \(path): \(String(cString: strerror(number)))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw AtRestError(.refused, "not a regular file: \(path)")
    }
    if secret, status.st_mode & 0o077 != 0 {
      let mode = String(status.st_mode & 0o777, radix: 8)
      throw AtRestError(.refused, "\(path) has mode \(mode); only its owner may read a key: chmod 600 \(path)")
    }
    guard status.st_size <= limit else { throw AtRestError(.tooLarge, "\(path) has more than \(limit) bytes") }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var got = 0
    while got < bytes.count {
      let n = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + got, $0.count - got) }
      if n < 0, errno == EINTR { continue }
      guard n >= 0 else { throw AtRestError(.io, "cannot read \(path): \(String(cString: strerror(errno)))") }
      if n == 0 { break }
      got += n
    }
    defer { wipe(&bytes) }
    guard got <= limit else { throw AtRestError(.tooLarge, "\(path) has more than \(limit) bytes") }
    return Array(bytes[..<got])
  }

  /// Makes `path` with mode 0600, durable when this returns; `.exists` when there is something.
  static func create(_ path: String, _ bytes: [UInt8]) throws(AtRestError) {
    let disk = RealDisk()
    try onDisk { () throws(DiskError) in
      let file = try disk.open(path, .create)
      do throws(DiskError) {
        try file.write(bytes, at: 0)
        try file.sync()
        try disk.syncDirectory(KeyringWriter.directory(of: path))
      } catch {
        try? disk.remove(path)
        throw error
      }
    }
  }
}

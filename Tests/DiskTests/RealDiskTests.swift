// What only the real disk has: modes, descriptors, and errors of the system.

import Base
import Disk
import Glibc
import Testing

struct RealDiskTests {
  @Test("files are 0600, directories 0700, and no descriptor passes to a child process")
  func modes() throws {
    try TemporaryDirectory.with { root in
      let disk = RealDisk()
      let file = try disk.open(root + "/f", .create, direct: true)
      try disk.makeDirectory(root + "/d")
      var status = stat()
      #expect(stat(root + "/f", &status) == 0 && status.st_mode & 0o777 == 0o600)
      #expect(stat(root + "/d", &status) == 0 && status.st_mode & 0o777 == 0o700)
      var inherited = 0
      var own = 0
      for descriptor in 0..<1024 as Range<Int32> {
        guard fstat(descriptor, &status) == 0, isFile(status, root + "/f") else { continue }
        own += 1
        if fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 { inherited += 1 }
      }
      #expect(own >= 1 && inherited == 0)
      #expect(try file.size() == 0)
    }
  }

  private func isFile(_ status: stat, _ path: String) -> Bool {
    var other = stat()
    return stat(path, &other) == 0 && other.st_ino == status.st_ino && other.st_dev == status.st_dev
  }

  @Test("a file closes with its last reference")
  func closes() throws {
    try TemporaryDirectory.with { root in
      let disk = RealDisk()
      for i in 0..<3000 { _ = try disk.open("\(root)/\(i % 3)", .createOrOpen, direct: i % 2 == 0) }
      #expect(try disk.list(root) == ["0", "1", "2"])
    }
  }

  @Test("errors of the system come with their code, operation and path")
  func errors() throws {
    let disk = RealDisk()
    do {
      // A device that is always full.
      try disk.open("/dev/full", .readWrite).write([1], at: 0)
      Issue.record("it fitted")
    } catch {
      #expect(error.code == .full && error.operation == "write" && error.path == "/dev/full")
      #expect(error.description == "write /dev/full: the disk is full")
    }
    do {
      _ = try disk.open("/proc/self/nothing-here", .read)
      Issue.record("it is there")
    } catch {
      #expect(error.code == .notFound)
    }
  }

  @Test("a file system that refuses direct writes opens the file as usual")
  func noDirect() throws {
    // The kernel's proc file system has none; the name of this thread is a file there.
    let file = try RealDisk().open("/proc/thread-self/comm", .readWrite, direct: true)
    #expect(try file.read(16, at: 0).count > 0)
  }

  @Test("a buffer starts on a page, grows with its content and is used again")
  func buffers() {
    let buffer = DiskBuffer(capacity: 1)
    #expect(buffer.capacity == 4096)
    var model: [UInt8] = []
    for i in 0..<50 {
      let part = [UInt8](repeating: UInt8(i), count: i * 13)
      buffer.append(part)
      model += part
      if i % 5 == 0 {
        buffer.pad(to: 512)
        model += [UInt8](repeating: 0, count: -model.count & 511)
      }
      buffer.withSpan { span in
        #expect(span.withUnsafeBytes { Array($0) == model && Int(bitPattern: $0.baseAddress) % 4096 == 0 })
      }
    }
    buffer.replace(at: 20, with: [1, 2, 3].span.bytes)
    model.replaceSubrange(20..<44, with: [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
    buffer.withSpan { span in #expect(span.withUnsafeBytes { Array($0) == model }) }
    let capacity = buffer.capacity
    buffer.clear()
    #expect(buffer.count == 0 && buffer.capacity == capacity)
  }

  @Test(
    "the directory of a path",
    arguments: [
      ("/a/b", "/a"), ("/a", "/"), ("/", nil), ("a", nil), ("a/b/", "a"), ("/a//", "/"),
    ] as [(String, String?)])
  func parents(path: String, parent: String?) {
    #expect(parentDirectory(of: path) == parent)
  }
}

// The contract of the Disk port, for the real disk and the simulated ones.

import Base
import Disk
import Simulator
import Testing

@Suite("The disk port")
struct DiskContractTests {
  private func expect(_ code: DiskError.Code, _ body: () throws -> Void) {
    do {
      try body()
      Issue.record("expected \(code)")
    } catch let error as DiskError {
      #expect(error.code == code, "\(error)")
    } catch {
      Issue.record("\(error)")
    }
  }

  private func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }

  @Test("what is written is read back, at any offset and across blocks", arguments: DiskUnderTest.allCases)
  func readsBack(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let file = try disk.open(root + "/a", .create, direct: kind.direct)
      var model: [UInt8] = []
      var generator = SeededGenerator(seed: 5)
      for round in 0..<60 {
        let offset = generator.below(20_000)
        let part = bytes(generator.below(9000), seed: UInt64(round))
        try file.write(part, at: UInt64(offset))
        if !part.isEmpty, model.count < offset + part.count {
          model += [UInt8](repeating: 0, count: offset + part.count - model.count)
        }
        model.replaceSubrange(offset..<(offset + part.count), with: part)
        if round % 10 == 0 { try file.sync() }
      }
      #expect(try file.size() == UInt64(model.count))
      #expect(try file.read(model.count + 100, at: 0) == model)
      #expect(try file.read(500, at: 3999) == Array(model[3999..<4499]))
      #expect(try file.read(10, at: UInt64(model.count)) == [])
      #expect(try disk.info(root + "/a") == FileInfo(bytes: UInt64(model.count), isDirectory: false))
    }
  }

  @Test("aligned and other writes of a direct file mix", arguments: DiskUnderTest.allCases)
  func directWrites(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let file = try disk.open(root + "/log", .createOrOpen, direct: true)
      try disk.zeroFill(file, 3 << 20 | 512)
      #expect(try file.size() == 3 << 20 | 512)
      let buffer = DiskBuffer()
      var model = [UInt8](repeating: 0, count: 3 << 20 | 512)
      for (i, size) in [512, 2048, 4096, 100, 3000, 8192, 70_000].enumerated() {
        let part = bytes(size, seed: UInt64(i))
        buffer.clear()
        buffer.append(part)
        let offset = i * 100_352 + (i % 3 == 2 ? 7 : 0)
        if i % 2 == 0 { buffer.pad(to: 512) }
        try file.write(buffer, at: UInt64(offset))
        let padding = [UInt8](repeating: 0, count: buffer.count - size)
        model.replaceSubrange(offset..<(offset + buffer.count), with: part + padding)
      }
      try file.sync()
      #expect(try file.read(model.count, at: 0) == model)
      #expect(try disk.open(root + "/log", .read).read(model.count, at: 0) == model)
    }
  }

  @Test("create wants no file, read and readWrite want one, a reader cannot write", arguments: DiskUnderTest.allCases)
  func modes(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let path = root + "/file"
      expect(.notFound) { _ = try disk.open(path, .read) }
      expect(.notFound) { _ = try disk.open(path, .readWrite) }
      expect(.notFound) { _ = try disk.open(root + "/none/file", .create) }
      try disk.open(path, .create).write([1, 2, 3], at: 0)
      expect(.exists) { _ = try disk.open(path, .create) }
      #expect(try disk.open(path, .createOrOpen).read(9, at: 0) == [1, 2, 3])
      try disk.open(path, .readWrite).write([9], at: 1)
      let reader = try disk.open(path, .read)
      #expect(try reader.read(9, at: 0) == [1, 9, 3])
      #expect(throws: DiskError.self) { try reader.write([0], at: 0) }
      #expect(throws: DiskError.self) { try reader.truncate(to: 0) }
      #expect(reader.path == path)
    }
  }

  @Test("a truncation cuts, a longer one adds zeros", arguments: DiskUnderTest.allCases)
  func truncation(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let file = try disk.open(root + "/t", .create, direct: kind.direct)
      try file.write([UInt8](repeating: 7, count: 5000), at: 0)
      try file.truncate(to: 1000)
      try file.truncate(to: 6000)
      let expected = [UInt8](repeating: 7, count: 1000) + [UInt8](repeating: 0, count: 5000)
      #expect(try file.read(9000, at: 0) == expected)
      try file.write([1], at: 10_000)
      #expect(try file.read(1, at: 9999) == [0])
      #expect(try file.size() == 10_001)
    }
  }

  @Test("directories are made with those above, listed in order, removed when empty", arguments: DiskUnderTest.allCases)
  func directories(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      try disk.makeDirectory(root + "/a/b/c")
      try disk.makeDirectory(root + "/a/b/c")
      for name in ["zz", "m", "aa"] { _ = try disk.open(root + "/a/b/\(name)", .create) }
      #expect(try disk.list(root + "/a/b") == ["aa", "c", "m", "zz"])
      #expect(try disk.list(root + "/a/b/c") == [])
      #expect(try disk.info(root + "/a/b")?.isDirectory == true)
      #expect(try disk.info(root + "/a/none") == nil)
      #expect(try disk.info(root + "/a/none/deeper") == nil)
      expect(.notFound) { _ = try disk.list(root + "/none") }
      expect(.exists) { try disk.makeDirectory(root + "/a/b/m") }
      expect(.exists) { try disk.removeDirectory(root + "/a/b") }
      try disk.removeDirectory(root + "/a/b/c")
      #expect(try disk.list(root + "/a/b") == ["aa", "m", "zz"])
      try disk.syncDirectory(root + "/a/b")
      expect(.notFound) { try disk.syncDirectory(root + "/none") }
      expect(.notFound) { try disk.removeDirectory(root + "/none") }
    }
  }

  @Test("a rename replaces, across directories too, and an open file goes with it", arguments: DiskUnderTest.allCases)
  func renames(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      try disk.makeDirectory(root + "/x")
      let file = try disk.open(root + "/new", .create)
      try disk.open(root + "/x/old", .create).write([1, 1, 1], at: 0)
      try file.write([2], at: 0)
      try disk.rename(root + "/new", to: root + "/x/old")
      try file.write([3], at: 1)
      #expect(try disk.readAll(root + "/x/old", limit: 10) == [2, 3])
      #expect(try disk.list(root) == ["x"])
      expect(.notFound) { try disk.rename(root + "/new", to: root + "/y") }
      try disk.rename(root + "/x", to: root + "/y")
      #expect(try disk.readAll(root + "/y/old", limit: 10) == [2, 3])
      #expect(try disk.info(root + "/x") == nil)
    }
  }

  @Test("a removed file lives on for who has it open, and its name is free", arguments: DiskUnderTest.allCases)
  func removal(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let path = root + "/gone"
      let old = try disk.open(path, .create)
      try old.write([1, 2], at: 0)
      try disk.remove(path)
      expect(.notFound) { try disk.remove(path) }
      let new = try disk.open(path, .create)
      try new.write([3], at: 0)
      try disk.syncDirectory(root)
      try old.sync()
      #expect(try old.read(5, at: 0) == [1, 2])
      #expect(try disk.readAll(path, limit: 5) == [3])
    }
  }

  @Test("replaceFile replaces the whole content and leaves no other file", arguments: DiskUnderTest.allCases)
  func replacing(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let path = root + "/state"
      for size in [0, 5000, 3] {
        try disk.replaceFile(path, bytes(size))
        #expect(try disk.readAll(path, limit: 5000) == bytes(size))
        #expect(try disk.list(root) == ["state"])
      }
      // What a crash in the middle of a replacement left behind is no part of the next one.
      try disk.open(path + ".new", .create).write(bytes(9000), at: 0)
      try disk.replaceFile(path, [1, 2, 3])
      #expect(try disk.readAll(path, limit: 5000) == [1, 2, 3])
      expect(.other(27)) { _ = try disk.readAll(path, limit: 2) }
      expect(.notFound) { _ = try disk.readAll(root + "/none", limit: 2) }
    }
  }

  @Test("free space is known and durable directories are there", arguments: DiskUnderTest.allCases)
  func space(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      #expect(try disk.freeBytes(root) > 0)
      try disk.makeDurableDirectory(root + "/p/q/r")
      try disk.makeDurableDirectory(root + "/p/q/r")
      #expect(try disk.info(root + "/p/q/r")?.isDirectory == true)
    }
  }

  @Test("several threads read and write different places of one file", arguments: DiskUnderTest.allCases)
  func parallel(_ kind: DiskUnderTest) throws {
    try kind.with { disk, root in
      let file = try disk.open(root + "/shared", .create, direct: kind.direct)
      let pool = SyncPool(threads: 3)
      let other = try disk.open(root + "/other", .create)
      for round in 0..<20 {
        try file.write([UInt8](repeating: UInt8(round), count: 512), at: UInt64(round * 512))
        try other.write([UInt8(round)], at: UInt64(round))
        #expect(pool.sync([file, other, file]).allSatisfy { $0 == nil })
      }
      #expect(pool.sync([]).isEmpty)
      pool.stop()
      #expect(pool.sync([file, other]).count == 2)
      #expect(try file.size() == 20 * 512)
    }
  }
}

// A virtual file system of SQLite (https://www.sqlite.org/vfs.html) whose database file is a `PageHost`.
//
// One is registered per open shard under a name of its own, because a temporary file arrives without any sign of the
// connection that wants it. Journals never arrive: connections run with journal_mode=memory, and the VFS refuses another
// mode, since a journal on disk would bypass the gate.

import Base
import CSQLite
import Glibc
import Synchronization

/// Registered from `init` until `unregister`; connections that use it keep it alive.
package final class PagesVFS: @unchecked Sendable {
  // Invariant: `vfs` and `nameBytes` are written in `init` only and freed when the last connection is gone; SQLite reads
  // them under its own mutex.
  private let vfs: UnsafeMutablePointer<sqlite3_vfs>
  private let nameBytes: UnsafeMutablePointer<CChar>
  /// The name to open connections with.
  let name: String
  let host: any PageHost

  private static let serial = Atomic<UInt64>(0)

  package init(host: any PageHost) {
    _ = Connection.isConfigured
    self.host = host
    name = "komora-\(Self.serial.add(1, ordering: .relaxed).newValue)"
    nameBytes = strdup(name)
    vfs = .allocate(capacity: 1)
    let unix = sqlite3_vfs_find("unix")!
    vfs.initialize(to: sqlite3_vfs())
    vfs.pointee.iVersion = 2
    vfs.pointee.szOsFile = Int32(MemoryLayout<VFSFile>.size)
    vfs.pointee.mxPathname = 64
    vfs.pointee.zName = UnsafePointer(nameBytes)
    vfs.pointee.pAppData = Unmanaged.passUnretained(self).toOpaque()
    vfs.pointee.xOpen = vfsOpen
    vfs.pointee.xDelete = { _, _, _ in SQLITE_OK }
    vfs.pointee.xAccess = { _, _, _, result in
      result!.pointee = 0
      return SQLITE_OK
    }
    vfs.pointee.xFullPathname = { _, name, count, out in
      copyName(name, count, out)
    }
    vfs.pointee.xRandomness = unix.pointee.xRandomness
    vfs.pointee.xSleep = unix.pointee.xSleep
    vfs.pointee.xCurrentTime = unix.pointee.xCurrentTime
    vfs.pointee.xCurrentTimeInt64 = unix.pointee.xCurrentTimeInt64
    vfs.pointee.xGetLastError = { _, _, _ in SQLITE_OK }
    precondition(sqlite3_vfs_register(vfs, 0) == SQLITE_OK)
  }

  deinit {
    sqlite3_vfs_unregister(vfs)
    vfs.deallocate()
    free(nameBytes)
  }
}

/// What SQLite allocates per open file: its own header, then our object.
struct VFSFile {
  var base: sqlite3_file
  var object: Unmanaged<VFSHandle>?
}

/// One open file of the VFS: the database or a temporary one.
final class VFSHandle {
  enum Kind {
    case database(any PageSession)
    case temporary(any TemporaryStorage)
  }
  let kind: Kind
  /// The lock that SQLite believes to hold.
  var lock = SQLITE_LOCK_NONE

  init(_ kind: Kind) { self.kind = kind }

  @inline(__always) static func of(_ file: UnsafeMutablePointer<sqlite3_file>?) -> VFSHandle {
    UnsafeMutableRawPointer(file!).assumingMemoryBound(to: VFSFile.self).pointee.object!.takeUnretainedValue()
  }

  static func adopt(_ handle: VFSHandle, in file: UnsafeMutablePointer<sqlite3_file>) {
    let slot = UnsafeMutableRawPointer(file).assumingMemoryBound(to: VFSFile.self)
    slot.pointee.object = Unmanaged.passRetained(handle)
    file.pointee.pMethods = UnsafePointer(handle.isDatabase ? databaseMethods : temporaryMethods)
  }

  var isDatabase: Bool { if case .database = kind { true } else { false } }

  var session: any PageSession {
    guard case .database(let session) = kind else { preconditionFailure("a temporary file has no pages") }
    return session
  }

  var storage: any TemporaryStorage {
    guard case .temporary(let storage) = kind else { preconditionFailure("a database is no temporary file") }
    return storage
  }
}

private func copyName(_ name: UnsafePointer<CChar>?, _ count: Int32, _ out: UnsafeMutablePointer<CChar>?)
  -> Int32
{
  let length = strlen(name!)
  guard length < Int(count) else { return SQLITE_CANTOPEN }
  memcpy(out!, name!, length + 1)
  return SQLITE_OK
}

private let vfsOpen:
  @convention(c) (
    UnsafeMutablePointer<sqlite3_vfs>?, UnsafePointer<CChar>?, UnsafeMutablePointer<sqlite3_file>?, Int32,
    UnsafeMutablePointer<Int32>?
  ) -> Int32 = { vfs, name, file, flags, outFlags in
    // SQLite calls xClose only when pMethods is set.
    file!.pointee.pMethods = nil
    let host = Unmanaged<PagesVFS>.fromOpaque(vfs!.pointee.pAppData).takeUnretainedValue().host
    if flags & SQLITE_OPEN_MAIN_DB != 0 {
      guard let session = host.openSession(readOnly: flags & SQLITE_OPEN_READONLY != 0) else { return SQLITE_CANTOPEN }
      VFSHandle.adopt(VFSHandle(.database(session)), in: file!)
    } else if flags
      & (SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL)
      != 0
    {
      guard let storage = host.openTemporary() else { return SQLITE_CANTOPEN }
      VFSHandle.adopt(VFSHandle(.temporary(storage)), in: file!)
    } else {
      // A journal or a WAL of the database: refused, see the header.
      return SQLITE_CANTOPEN
    }
    outFlags?.pointee = flags
    return SQLITE_OK
  }

// The method tables live as long as the process. They are never written after this.
nonisolated(unsafe) private let databaseMethods: UnsafeMutablePointer<sqlite3_io_methods> = makeMethods { m in
  m.xRead = databaseRead
  m.xWrite = databaseWrite
  m.xTruncate = { file, bytes in
    VFSHandle.of(file).session.truncate(pages: UInt32(bytes / Int64(Limits.pageBytes)))
    return SQLITE_OK
  }
  m.xFileSize = { file, out in
    out!.pointee = Int64(VFSHandle.of(file).session.pageCount) * Int64(Limits.pageBytes)
    return SQLITE_OK
  }
  m.xLock = databaseLock
  m.xUnlock = databaseUnlock
  m.xCheckReservedLock = { file, out in
    out!.pointee = VFSHandle.of(file).session.isReserved ? 1 : 0
    return SQLITE_OK
  }
  m.xFileControl = databaseControl
}

nonisolated(unsafe) private let temporaryMethods: UnsafeMutablePointer<sqlite3_io_methods> = makeMethods { m in
  m.xRead = { file, out, count, offset in
    let storage = VFSHandle.of(file).storage
    let have = Int64(storage.byteCount) - offset
    let wanted = max(0, min(Int64(count), have))
    var span = MutableRawSpan(_unsafeStart: out!, byteCount: Int(wanted))
    guard wanted == 0 || storage.read(at: UInt64(offset), into: &span) else { return readFailed }
    if wanted == Int64(count) { return SQLITE_OK }
    memset(out! + Int(wanted), 0, Int(Int64(count) - wanted))
    return readBeyondEnd
  }
  m.xWrite = { file, bytes, count, offset in
    let span = RawSpan(_unsafeStart: bytes!, byteCount: Int(count))
    return VFSHandle.of(file).storage.write(span, at: UInt64(offset)) ? SQLITE_OK : SQLITE_FULL
  }
  m.xTruncate = { file, bytes in
    VFSHandle.of(file).storage.truncate(to: UInt64(bytes))
    return SQLITE_OK
  }
  m.xFileSize = { file, out in
    out!.pointee = Int64(VFSHandle.of(file).storage.byteCount)
    return SQLITE_OK
  }
  m.xLock = { _, _ in SQLITE_OK }
  m.xUnlock = { _, _ in SQLITE_OK }
  m.xCheckReservedLock = { _, out in
    out!.pointee = 0
    return SQLITE_OK
  }
  m.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
}

private func makeMethods(_ fill: (inout sqlite3_io_methods) -> Void) -> UnsafeMutablePointer<sqlite3_io_methods> {
  let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
  var m = sqlite3_io_methods()
  m.iVersion = 1
  m.xClose = { file in
    let slot = UnsafeMutableRawPointer(file!).assumingMemoryBound(to: VFSFile.self)
    let handle = slot.pointee.object!.takeRetainedValue()
    slot.pointee.object = nil
    switch handle.kind {
    case .database(let session): session.close()
    case .temporary(let storage): storage.close()
    }
    return SQLITE_OK
  }
  m.xSync = { _, _ in SQLITE_OK }
  m.xSectorSize = { _ in Int32(Limits.pageBytes) }
  m.xDeviceCharacteristics = { _ in
    SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL
  }
  fill(&m)
  methods.initialize(to: m)
  return methods
}

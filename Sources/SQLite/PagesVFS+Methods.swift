// The database file's methods: each turns SQLite's call into one call of the page session, and its answer into a code.

import Base
import CSQLite
import Glibc

let readFailed: Int32 = SQLITE_IOERR | 1 << 8
let readBeyondEnd: Int32 = SQLITE_IOERR | 2 << 8
let writeFailed: Int32 = SQLITE_IOERR | 3 << 8
let lockFailed: Int32 = SQLITE_IOERR | 15 << 8

let databaseRead:
  @convention(c) (UnsafeMutablePointer<sqlite3_file>?, UnsafeMutableRawPointer?, Int32, sqlite3_int64) -> Int32 = {
    file, out, count, offset in
    let page = UInt32(offset / Int64(Limits.pageBytes)) + 1
    let within = Int(offset % Int64(Limits.pageBytes))
    // Reads of the header are 16 or 100 bytes; no read crosses a page.
    guard within + Int(count) <= Limits.pageBytes else { return readFailed }
    var span = MutableRawSpan(_unsafeStart: out!, byteCount: Int(count))
    switch VFSHandle.of(file).session.read(page: page, at: within, into: &span) {
    case .ok: return SQLITE_OK
    case .beyondEnd:
      memset(out!, 0, Int(count))
      return readBeyondEnd
    case .damaged: return SQLITE_CORRUPT
    case .failed: return readFailed
    }
  }

let databaseWrite:
  @convention(c) (UnsafeMutablePointer<sqlite3_file>?, UnsafeRawPointer?, Int32, sqlite3_int64) -> Int32 = {
    file, bytes, count, offset in
    guard Int(count) == Limits.pageBytes, offset % Int64(Limits.pageBytes) == 0 else { return writeFailed }
    let page = UInt32(offset / Int64(Limits.pageBytes)) + 1
    switch VFSHandle.of(file).session.write(page: page, RawSpan(_unsafeStart: bytes!, byteCount: Int(count))) {
    case .ok: return SQLITE_OK
    case .tooLarge: return SQLITE_FULL
    case .failed: return writeFailed
    }
  }

let databaseLock: @convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32) -> Int32 = { file, level in
  let handle = VFSHandle.of(file)
  guard level > handle.lock else { return SQLITE_OK }
  if handle.lock == SQLITE_LOCK_NONE {
    switch handle.session.lockShared() {
    case .ok: handle.lock = SQLITE_LOCK_SHARED
    case .gone: return lockFailed
    case .busy, .snapshotTooOld, .readOnly: return SQLITE_BUSY
    }
  }
  // PENDING and EXCLUSIVE wait for nobody: readers keep their versions.
  if level >= SQLITE_LOCK_RESERVED, handle.lock < SQLITE_LOCK_RESERVED {
    switch handle.session.reserve() {
    case .ok: break
    case .busy: return SQLITE_BUSY
    case .snapshotTooOld: return busySnapshotResult
    case .readOnly: return SQLITE_READONLY
    case .gone: return lockFailed
    }
  }
  handle.lock = level
  return SQLITE_OK
}

let databaseUnlock: @convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32) -> Int32 = { file, level in
  let handle = VFSHandle.of(file)
  guard level < handle.lock else { return SQLITE_OK }
  if level == SQLITE_LOCK_NONE {
    handle.session.unlock()
  } else if handle.lock >= SQLITE_LOCK_RESERVED {
    handle.session.unlockToShared()
  }
  handle.lock = level
  return SQLITE_OK
}

/// Pragmas that would change what the gate relies on.
private let refusedPragmas: Set<String> = ["page_size", "locking_mode", "journal_mode", "auto_vacuum"]

let databaseControl: @convention(c) (UnsafeMutablePointer<sqlite3_file>?, Int32, UnsafeMutableRawPointer?) -> Int32 = {
  file, operation, argument in
  switch operation {
  case SQLITE_FCNTL_SYNC:
    switch VFSHandle.of(file).session.commit() {
    case .ok: return SQLITE_OK
    case .refused: return writeFailed
    case .full: return SQLITE_FULL
    }
  case SQLITE_FCNTL_PRAGMA:
    let words = argument!.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self)
    guard let value = words[2] else { return SQLITE_NOTFOUND }
    let pragma = String(cString: words[1]!).lowercased()
    guard refusedPragmas.contains(pragma) else { return SQLITE_NOTFOUND }
    if pragma == "journal_mode", String(cString: value).lowercased() == "memory" { return SQLITE_NOTFOUND }
    komora_set_message(&words[0], "this pragma is fixed for accounts")
    return SQLITE_ERROR
  default:
    return SQLITE_NOTFOUND
  }
}

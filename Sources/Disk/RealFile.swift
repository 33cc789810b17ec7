// An open file of this machine.
//
// A file opened for direct writes has two descriptors on one inode. Writes whose offset, length and memory are aligned
// to the device's block go past the page cache; all other writes and every read go through it, and the kernel keeps the
// two coherent. The block starts at 512 bytes and is learnt: a device that refuses it is tried at 4,096, and one that
// refuses that too is written through the cache from then on.

internal import Glibc
internal import Synchronization

final class RealFile: DiskFile {
  let path: String
  private let descriptor: Int32
  // -1: none. Written once, before the file is handed to its first user.
  private let directDescriptor = Atomic<Int32>(-1)
  // Alignment that direct writes need; 0 when the device takes none.
  private let directBlock = Atomic<Int>(0)

  init(adopting descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit {
    close(descriptor)
    let direct = directDescriptor.load(ordering: .relaxed)
    if direct >= 0 { close(direct) }
  }

  /// Opens the second descriptor. A file system without direct writes leaves the file as it is.
  func enableDirect() throws(DiskError) {
    // The name may mean another file by now; the descriptor's own entry cannot.
    let direct = Glibc.open("/proc/self/fd/\(descriptor)", O_WRONLY | Self.directFlag | O_CLOEXEC)
    if direct < 0 {
      if errno == EMFILE || errno == ENFILE { throw DiskError(systemError: errno, "open", path) }
      return
    }
    directDescriptor.store(direct, ordering: .relaxed)
    directBlock.store(512, ordering: .relaxed)
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    try bytes.withUnsafeMutableBytes { (buffer) throws(DiskError) -> Int in
      var done = 0
      while done < buffer.count {
        let got = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + done)
        if got == 0 { break }
        if got > 0 {
          done += got
        } else if errno != EINTR {
          throw DiskError(systemError: errno, "read", path)
        }
      }
      return done
    }
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
    try bytes.withUnsafeBytes { (buffer) throws(DiskError) in
      var done = 0
      while done < buffer.count {
        let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
        done += try writeOnce(rest, at: off_t(offset) + done)
      }
    }
  }

  /// Writes some of `buffer`; gives how much.
  private func writeOnce(_ buffer: UnsafeRawBufferPointer, at offset: off_t) throws(DiskError) -> Int {
    let block = directBlock.load(ordering: .relaxed)
    let direct = block > 0 && Self.isAligned(buffer, at: offset, to: block)
    let target = direct ? directDescriptor.load(ordering: .relaxed) : descriptor
    let put = pwrite(target, buffer.baseAddress!, buffer.count, offset)
    if put > 0 { return put }
    // A regular file takes at least a byte or says why not.
    let failure = put == 0 ? EIO : errno
    if failure == EINTR { return 0 }
    if direct, failure == EINVAL {
      directBlock.store(block < DiskBuffer.alignment ? DiskBuffer.alignment : 0, ordering: .relaxed)
      return 0
    }
    throw DiskError(systemError: failure, "write", path)
  }

  func sync() throws(DiskError) {
    try RealDisk.call("sync", path) { fdatasync(descriptor) }
  }

  func size() throws(DiskError) -> UInt64 {
    var status = stat()
    try RealDisk.call("look at", path) { fstat(descriptor, &status) }
    return UInt64(status.st_size)
  }

  func truncate(to bytes: UInt64) throws(DiskError) {
    try RealDisk.call("truncate", path) { ftruncate(descriptor, off_t(bytes)) }
  }

  private static func isAligned(_ buffer: UnsafeRawBufferPointer, at offset: off_t, to block: Int) -> Bool {
    let memory = Int(bitPattern: buffer.baseAddress)
    return (memory | buffer.count | offset) & (block - 1) == 0
  }

  // O_DIRECT is a GNU extension that the Glibc module does not show; its value depends on the architecture.
  #if arch(arm64) || arch(arm)
    private static let directFlag: Int32 = 0o200000
  #else
    private static let directFlag: Int32 = 0o40000
  #endif
}

// The files of a managed member on its node: certificates, keys, and the configuration, which comes last.
//
// The node writes, etcd's own unit reads: the node is not its parent, so it survives the node's end. A unit waits for
// the configuration's path; removing that file is how a member is told to stay away. Every file is replaced whole, is
// durable on return and readable by its owner only. What has not changed is not written.

import Foundation
package import OpenSSL

package struct EtcdMemberFiles: Sendable {
  /// PEM.
  package struct Certificates: Sendable {
    package var clientAuthority: String
    package var serverCertificate: String
    package var serverKey: SecretBytes
    package var peerAuthority: String
    package var peerCertificate: String
    package var peerKey: SecretBytes

    package init(
      clientAuthority: String, serverCertificate: String, serverKey: SecretBytes, peerAuthority: String,
      peerCertificate: String, peerKey: SecretBytes
    ) {
      self.clientAuthority = clientAuthority
      self.serverCertificate = serverCertificate
      self.serverKey = serverKey
      self.peerAuthority = peerAuthority
      self.peerCertificate = peerCertificate
      self.peerKey = peerKey
    }
  }

  /// What was written anew; all false says that everything was there already.
  package struct Written: Sendable, Equatable {
    package var certificates = false
    /// etcd reads them at its start only.
    package var authorities = false
    package var configuration = false

    package init(certificates: Bool = false, authorities: Bool = false, configuration: Bool = false) {
      self.certificates = certificates
      self.authorities = authorities
      self.configuration = configuration
    }
  }

  package let directory: String

  /// Absolute; it and what is missing above it is made at the first writing.
  package init(directory: String) { self.directory = directory }

  package var configurationPath: String { directory + "/etcd.yaml" }
  package var paths: EtcdMemberConfiguration.Files { .init(below: directory) }
  /// For the membership with this id; nil for the first member, which gets its id at its start.
  package func dataDirectory(member id: UInt64?) -> String {
    directory + "/data-" + (id.map { String($0, radix: 16) } ?? "first")
  }

  /// Blocks on the disk. `configuration` uses `paths`.
  @discardableResult
  package func write(
    _ configuration: EtcdMemberConfiguration, _ certificates: Certificates
  ) throws(ControlStoreError) -> Written {
    let yaml = try configuration.yaml()
    var written = Written()
    try makeDirectory()
    let paths = paths
    for (path, text) in [
      (paths.clientAuthority, certificates.clientAuthority), (paths.peerAuthority, certificates.peerAuthority),
    ] where try put(path, SecretBytes(Array(text.utf8))) { written.authorities = true }
    // etcd reads certificate and key one after the other: between the two writes a handshake may fail, and is repeated.
    for (path, secret) in [
      (paths.serverKey, certificates.serverKey),
      (paths.serverCertificate, SecretBytes(Array(certificates.serverCertificate.utf8))),
      (paths.peerKey, certificates.peerKey),
      (paths.peerCertificate, SecretBytes(Array(certificates.peerCertificate.utf8))),
    ] where try put(path, secret) { written.certificates = true }
    written.configuration = try put(configurationPath, SecretBytes(Array(yaml.utf8)))
    return written
  }

  /// So that the unit does not start again; what runs goes on until it is stopped or removed from the cluster.
  package func removeConfiguration() throws(ControlStoreError) {
    guard unlink(configurationPath) == 0 || errno == ENOENT else { throw failure("remove", configurationPath) }
    try syncDirectory()
  }

  private func makeDirectory() throws(ControlStoreError) {
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw ControlStoreError(.io, "the directory \(directory) of etcd's files cannot be made")
    }
  }

  /// False when it was there already, as it has to be.
  private func put(_ path: String, _ content: SecretBytes) throws(ControlStoreError) -> Bool {
    var info = stat()
    if lstat(path, &info) == 0, info.st_mode & (S_IFMT | 0o777) == S_IFREG | 0o600,
      FileManager.default.contents(atPath: path).map(Array.init) == content.copy
    {
      return false
    }
    let temporary = path + ".new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("make", temporary) }
    let isWritten = content.with { bytes in
      bytes.withUnsafeBytes { raw in
        var done = 0
        while done < raw.count {
          let count = Glibc.write(descriptor, raw.baseAddress! + done, raw.count - done)
          guard count > 0 || errno == EINTR else { return false }
          done += max(count, 0)
        }
        return fchmod(descriptor, 0o600) == 0 && fsync(descriptor) == 0
      }
    }
    let isClosed = Glibc.close(descriptor) == 0
    guard isWritten, isClosed, rename(temporary, path) == 0 else {
      let error = failure("write", path)
      unlink(temporary)
      throw error
    }
    try syncDirectory()
    return true
  }

  private func syncDirectory() throws(ControlStoreError) {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", directory) }
    defer { Glibc.close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure("sync", directory) }
  }

  private func failure(_ verb: String, _ path: String) -> ControlStoreError {
    ControlStoreError(.io, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
  }
}

// One real etcd on loopback for all tests of clusters: each cluster has a prefix of its own in it. It ends with the
// process of the tests, however that ends.

import Base
import Foundation
import Glibc
import OpenSSL
import Synchronization

final class EtcdServer: Sendable {
  struct Failure: Error { var text: String }

  static let shared = Result { try EtcdServer() }

  let endpoint: String
  let directory: String

  private init() throws {
    directory = NSTemporaryDirectory() + "komora-etcd-" + UUID().uuidString
    let port = Ports.next()
    endpoint = "https://127.0.0.1:\(port)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try Self.writeCertificates(directory)
    // The shell waits for the end of its input, which is the end of this process.
    let script = """
      etcd --name one --data-dir "$1/data" --listen-client-urls "$2" --advertise-client-urls "$2" \
        --listen-peer-urls "$3" --initial-advertise-peer-urls "$3" --initial-cluster "one=$3" \
        --cert-file "$1/server.crt" --key-file "$1/server.key" --client-cert-auth --trusted-ca-file "$1/ca.crt" \
        --enable-v2=false --heartbeat-interval 50 --election-timeout 500 >"$1/log" 2>&1 &
      pid=$!; cat >/dev/null; kill -KILL $pid; rm -rf "$1"
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", script, "etcd", directory, endpoint, "http://127.0.0.1:\(Ports.next())"]
    process.standardInput = Self.input
    try process.run()
    for _ in 0..<600 where !isListening(port) { usleep(50_000) }
    guard isListening(port) else { throw Failure(text: "etcd does not start: see \(directory)/log") }
  }

  private static let input = Pipe()

  func path(_ name: String) -> String { directory + "/" + name }

  /// Whether `word` lies anywhere on its disk.
  func holds(_ word: some Sequence<UInt8>) -> Bool { directoryHolds(path("data"), Array(word)) }

  private static func writeCertificates(_ directory: String) throws {
    let now = Int64(time(nil))
    let validity = (now - 60)...(now + 86_400)
    let authority = try X509Authority.make(name: "etcd", kind: .p256, validity: validity)
    func write(_ name: String, _ bytes: [UInt8]) throws {
      try Data(bytes).write(to: URL(fileURLWithPath: directory + "/" + name))
    }
    try write("ca.crt", Array(authority.certificate.pem.utf8))
    for (name, usage, hosts) in [("server", X509Usage.server, ["127.0.0.1"]), ("client", .client, [])] {
      let key = X509Key.generate(.p256)
      let leaf = try authority.issue(
        X509Request.make(key), name: name, usage: usage, hosts: hosts, validity: validity)
      try write(name + ".crt", Array(leaf.pem.utf8))
      try write(name + ".key", key.pem.copy)
    }
  }
}

/// Whether a file below `directory` has `word` in it.
func directoryHolds(_ directory: String, _ word: [UInt8]) -> Bool {
  for case let name as String in FileManager.default.enumerator(atPath: directory) ?? .init() {
    guard let data = FileManager.default.contents(atPath: directory + "/" + name), !data.isEmpty else { continue }
    if data.withUnsafeBytes({ holds($0, word) }) { return true }
  }
  return false
}

private func holds(_ all: UnsafeRawBufferPointer, _ word: [UInt8]) -> Bool {
  var rest = all[...]
  while let place = rest.firstIndex(of: word[0]) {
    rest = rest[place...]
    if rest.starts(with: word) { return true }
    rest = rest.dropFirst()
  }
  return false
}

private func isListening(_ port: UInt16) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  return withLoopback(port) { connect(descriptor, $0, $1) == 0 }
}

private func withLoopback<T>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  address.sin_port = port.bigEndian
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}

/// Ports below those that the system gives to outgoing connections, free for streams and datagrams a moment ago.
enum Ports {
  private static let range: Range<UInt16> = 10_000..<32_000
  private static let last = Mutex(UInt16(UInt32(getpid()) % UInt32(range.count)) + range.lowerBound)

  static func next() -> UInt16 {
    last.withLock { last in
      repeat {
        last = last + 1 < range.upperBound ? last + 1 : range.lowerBound
      } while !isFree(last)
      return last
    }
  }

  private static func isFree(_ port: UInt16) -> Bool {
    [SOCK_STREAM, SOCK_DGRAM].allSatisfy { kind in
      let descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
      defer { close(descriptor) }
      return withLoopback(port) { bind(descriptor, $0, $1) == 0 }
    }
  }
}

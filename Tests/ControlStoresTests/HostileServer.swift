// A TLS server that speaks HTTP badly, with a certificate that clients of the test trust.

import ControlStores
import Foundation
import Glibc
import OpenSSL

final class HostileServer {
  struct Failure: Error {}

  private static let script = """
    import os, socket, ssl, sys, threading
    folder = sys.argv[1]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n"

    def serve(raw):
        try:
            with context.wrap_socket(raw, server_side=True) as s:
                request = b""
                while not request.endswith(b"}"):
                    more = s.recv(65536)
                    if not more:
                        return
                    request += more
                mode = open(folder + "/mode").read()
                if mode == "honest":
                    s.sendall(HEAD + b"content-length: 27\\r\\n\\r\\n" + b'{"header":{"revision":"1"}}')
                elif mode in ("body", "line"):
                    s.sendall(HEAD + b"transfer-encoding: chunked\\r\\n\\r\\n")
                    while True:
                        s.sendall(b"10000\\r\\n" + b" " * 65536 + b"\\r\\n")
                elif mode == "silent":
                    s.sendall(HEAD + b"content-length: 100\\r\\n\\r\\n{")
                    s.recv(1)
                elif mode == "mute":
                    s.recv(1)
                elif mode == "header":
                    while True:
                        s.sendall(b"x" * 65536)
                elif mode == "garbage":
                    s.sendall(bytes(range(256)) * 64)
                elif mode == "short":
                    s.sendall(HEAD + b"content-length: 100\\r\\n\\r\\n{}")
        except OSError:
            pass

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    """

  private let directory = TemporaryDirectory()
  private let process = Process()
  let configuration: EtcdConfiguration

  init() throws {
    let now = Int64(time(nil))
    let authority = try X509Authority.make(name: "hostile", kind: .p256, validity: (now - 60)...(now + 3600))
    let path = directory.path
    func leaf(_ name: String, _ usage: X509Usage) throws {
      let key = X509Key.generate(.p256)
      let certificate = try authority.issue(
        X509Request.make(key), name: name, usage: usage, hosts: ["127.0.0.1"], validity: (now - 60)...(now + 3600))
      try certificate.pem.write(toFile: "\(path)/\(name).crt", atomically: true, encoding: .utf8)
      try Data(key.pem.copy).write(to: URL(fileURLWithPath: "\(path)/\(name).key"))
    }
    try authority.certificate.pem.write(toFile: path + "/ca.crt", atomically: true, encoding: .utf8)
    try leaf("server", .server)
    try leaf("client", .client)
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = ["-c", Self.script, path]
    let out = Pipe()
    process.standardOutput = out
    try process.run()
    // The line may come in pieces.
    var said = Data()
    while said.last != UInt8(ascii: "\n") {
      let more = out.fileHandleForReading.availableData
      guard !more.isEmpty else { throw Failure() }
      said += more
    }
    guard let port = Int(String(decoding: said.dropLast(), as: UTF8.self)) else { throw Failure() }
    configuration = EtcdConfiguration(
      endpoints: ["https://127.0.0.1:\(port)"], authorityPath: path + "/ca.crt", certificatePath: path + "/client.crt",
      keyPath: path + "/client.key")
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  func behave(_ mode: String) throws {
    try mode.write(toFile: directory.path + "/mode", atomically: true, encoding: .utf8)
  }
}

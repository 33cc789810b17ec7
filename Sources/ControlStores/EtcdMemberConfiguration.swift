// How a managed member of etcd runs, as the YAML file that `etcd --config-file` reads.
//
// What is not an operator's choice is fixed here: version 3 only, certificates on both ports and from different
// authorities, the fabric's addresses only, pre-vote (a member that returns disturbs nobody). With a file etcd reads no
// other flag and no environment, and its JSON gateway is off unless the file says so.

package struct EtcdMemberConfiguration: Sendable, Equatable {
  package enum InitialState: String, Sendable {
    /// The first member of a new cluster.
    case new
    /// One that was added to a running cluster.
    case existing
  }

  /// PEM files. The two authorities are different ones; etcd reads certificates and keys again at every handshake, so a
  /// renewed one needs no restart, an authority does.
  package struct Files: Sendable, Equatable {
    package var clientAuthority: String
    /// Good for server and client: the gateway shows it when it calls its own server.
    package var serverCertificate: String
    package var serverKey: String
    package var peerAuthority: String
    /// Good for server and client too.
    package var peerCertificate: String
    package var peerKey: String

    package init(
      clientAuthority: String, serverCertificate: String, serverKey: String, peerAuthority: String,
      peerCertificate: String, peerKey: String
    ) {
      self.clientAuthority = clientAuthority
      self.serverCertificate = serverCertificate
      self.serverKey = serverKey
      self.peerAuthority = peerAuthority
      self.peerCertificate = peerCertificate
      self.peerKey = peerKey
    }

    /// The names that a node gives them below one directory.
    package init(below directory: String) {
      self.init(
        clientAuthority: directory + "/client-ca.crt", serverCertificate: directory + "/server.crt",
        serverKey: directory + "/server.key", peerAuthority: directory + "/peer-ca.crt",
        peerCertificate: directory + "/peer.crt", peerKey: directory + "/peer.key")
    }

    var all: [String] { [clientAuthority, serverCertificate, serverKey, peerAuthority, peerCertificate, peerKey] }
  }

  /// The node's id.
  package var name: String
  /// `HOST:PORT` with an IP address of the fabric, IPv6 in brackets.
  package var clientAddress: String
  package var peerAddress: String
  /// One for each membership: a member that was removed never comes back with its old data.
  package var dataDirectory: String
  package var files: Files
  /// Name and peer URL of every member, this one too.
  package var initialCluster: [(name: String, peerURL: String)]
  package var initialState: InitialState
  /// The same in all members; keeps clusters apart whose addresses meet.
  package var token: String
  package var heartbeat = Duration.milliseconds(100)
  package var election = Duration.milliseconds(1000)
  /// At this size etcd refuses to grow.
  package var quotaBytes = 2 << 30
  /// How long a watch may have been away.
  package var retention = Duration.seconds(3600)
  /// Transactions between two snapshots of etcd's log.
  package var snapshotCount = 10_000

  package init(
    name: String, clientAddress: String, peerAddress: String, dataDirectory: String, files: Files,
    initialCluster: [(name: String, peerURL: String)], initialState: InitialState, token: String
  ) {
    self.name = name
    self.clientAddress = clientAddress
    self.peerAddress = peerAddress
    self.dataDirectory = dataDirectory
    self.files = files
    self.initialCluster = initialCluster
    self.initialState = initialState
    self.token = token
  }

  package static func == (a: Self, b: Self) -> Bool { (try? a.yaml()) == (try? b.yaml()) }

  package var clientURL: String { "https://" + clientAddress }
  package var peerURL: String { "https://" + peerAddress }

  /// What a member that was just added starts with: the others as the cluster knows them, and itself by its own name.
  package static func initialCluster(
    _ members: [EtcdMember], adding id: UInt64, named name: String
  ) -> [(name: String, peerURL: String)] {
    members.flatMap { member in
      member.peerURLs.map { (member.id == id ? name : member.name, $0) }.filter { !$0.0.isEmpty }
    }
  }

  /// `.invalid` names what would not be safe or would mean something else in YAML.
  package func yaml() throws(ControlStoreError) -> String {
    try check()
    func text(_ value: String) -> String { "\"\(value)\"" }
    let cluster = initialCluster.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ",")
    return """
      # Written by Komora, which replaces it whole. The node's own configuration decides what stands here.
      name: \(text(name))
      data-dir: \(text(dataDirectory))
      listen-client-urls: \(text(clientURL))
      advertise-client-urls: \(text(clientURL))
      listen-peer-urls: \(text(peerURL))
      initial-advertise-peer-urls: \(text(peerURL))
      initial-cluster: \(text(cluster))
      initial-cluster-state: \(text(initialState.rawValue))
      initial-cluster-token: \(text(token))
      heartbeat-interval: \(heartbeat.wholeMilliseconds)
      election-timeout: \(election.wholeMilliseconds)
      pre-vote: true
      strict-reconfig-check: true
      quota-backend-bytes: \(quotaBytes)
      auto-compaction-mode: "periodic"
      auto-compaction-retention: "\(retention.components.seconds)s"
      snapshot-count: \(snapshotCount)
      enable-v2: false
      enable-grpc-gateway: true
      client-transport-security:
        cert-file: \(text(files.serverCertificate))
        key-file: \(text(files.serverKey))
        trusted-ca-file: \(text(files.clientAuthority))
        client-cert-auth: true
        auto-tls: false
      peer-transport-security:
        cert-file: \(text(files.peerCertificate))
        key-file: \(text(files.peerKey))
        trusted-ca-file: \(text(files.peerAuthority))
        client-cert-auth: true
        auto-tls: false
      cipher-suites: [\(Self.suites.map(text).joined(separator: ", "))]
      logger: "zap"
      log-level: "warn"
      log-outputs: ["stderr"]

      """
  }

  /// All of TLS 1.2 with forward secrecy: Debian's etcd would still offer TLS 1.0 and 1.1, which have none of these.
  private static let suites = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  ]

  private func check() throws(ControlStoreError) {
    for (what, address) in [("client", clientAddress), ("peer", peerAddress)] where !Self.isFabric(address) {
      throw ControlStoreError(
        .invalid, "etcd's \(what) address \(address) is not IP:PORT with one address of this host: set listen.fabric")
    }
    let names = initialCluster.map(\.name)
    guard names.contains(name), Set(names).count == names.count,
      initialCluster.contains(where: { $0.name == name && $0.peerURL == peerURL })
    else { throw ControlStoreError(.invalid, "etcd's initial cluster names every member once, this one too") }
    for text in names + [token] where !Self.isPlain(text, also: "") || text.isEmpty {
      throw ControlStoreError(.invalid, "names of etcd's members and its token have letters, digits, - and _ only")
    }
    for url in initialCluster.map(\.peerURL)
    where !url.hasPrefix("https://") || !Self.isFabric(String(url.dropFirst(8))) {
      throw ControlStoreError(.invalid, "etcd's peers are https://IP:PORT, not \(url)")
    }
    for path in files.all + [dataDirectory] where !path.hasPrefix("/") || !Self.isPlain(path, also: "/. +,@~") {
      throw ControlStoreError(.invalid, "etcd's files have absolute paths of plain characters, unlike \(path)")
    }
    guard files.clientAuthority != files.peerAuthority else {
      throw ControlStoreError(.invalid, "etcd's clients and peers have different authorities")
    }
    guard heartbeat >= .milliseconds(5), election >= heartbeat * 5, election <= .seconds(50) else {
      throw ControlStoreError(.invalid, "etcd's election timeout is at least five heartbeats and at most 50 s")
    }
    guard retention >= .seconds(60), quotaBytes >= 16 << 20, quotaBytes <= 8 << 30, snapshotCount >= 100 else {
      throw ControlStoreError(.invalid, "etcd keeps 1 minute or more, within 16 MiB to 8 GiB")
    }
  }

  static func isPlain(_ text: String, also extra: String) -> Bool {
    text.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || byte == 0x2D || byte == 0x5F || extra.utf8.contains(byte)
    }
  }

  /// One address of one host: what stands for all of them would leave the fabric.
  static func isFabric(_ address: String) -> Bool {
    guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]), port > 0
    else { return false }
    var host = String(address[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      return host.contains(":") && host.contains { $0 != "0" && $0 != ":" }
        && host.utf8.allSatisfy { "0123456789abcdefABCDEF:".utf8.contains($0) }
    }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && host != "0.0.0.0" && parts.allSatisfy { UInt8($0) != nil && String(UInt8($0)!) == $0 }
  }
}

extension Duration {
  var wholeMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}

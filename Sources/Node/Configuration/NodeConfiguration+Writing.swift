// A configuration as TOML, for the file that `komora dev` writes. Only what differs between nodes is written: what is
// left out keeps its default when a later version changes it.

extension NodeConfiguration {
  package var toml: String {
    var lines = [
      "# Written by `komora dev`; every key that is not here has its default.",
      "[node]", "name = \(Self.quote(name))", "region = \(Self.quote(region))", "data = \(Self.quote(paths.data))",
      "", "[listen]", "api = \(Self.quote(listen.api.description))", "s3 = \(Self.quote(listen.s3.description))",
      "fabric = \(Self.quote(listen.fabric.description))",
      "", "[paths]", "archive = \(Self.quote(paths.archive))", "temporary = \(Self.quote(paths.temporary))",
      "keys = \(Self.quote(paths.keys))",
      "", "[keys]",
    ]
    switch keys {
    case .file(let path): lines += ["provider = \"file\"", "file = \(Self.quote(path))"]
    case .passphrase(let path): lines += ["provider = \"passphrase\"", "passphrase_file = \(Self.quote(path))"]
    case .command(let words):
      lines += ["provider = \"command\"", "command = [\(words.map(Self.quote).joined(separator: ", "))]"]
    }
    if let adminTokenFile { lines.append("admin_token_file = \(Self.quote(adminTokenFile))") }
    if let certificate = tls.apiCertificate, let key = tls.apiKey {
      lines += ["", "[tls]", "api_cert = \(Self.quote(certificate))", "api_key = \(Self.quote(key))"]
    }
    return (lines + clusterLines).joined(separator: "\n") + "\n"
  }

  private var clusterLines: [String] {
    guard control.engine == .etcd else { return [] }
    var lines = ["", "[cluster]", "name = \(Self.quote(cluster.name))"]
    if let address = cluster.advertise { lines.append("advertise = \(Self.quote(address))") }
    lines += ["", "[control]", "engine = \"etcd\""]
    guard !control.isManaged else { return lines + ["managed = true"] }
    lines.append("endpoints = [\(control.endpoints.map(Self.quote).joined(separator: ", "))]")
    for (key, path) in [("ca", control.authority), ("cert", control.certificate), ("key", control.key)] {
      if let path { lines.append("\(key) = \(Self.quote(path))") }
    }
    return lines
  }

  /// A TOML basic string.
  package static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16, uppercase: true)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

// Where a copy lies: an S3-compatible endpoint, a bucket, and a prefix in it.

package struct OffSiteTarget: Sendable, Equatable {
  /// Host alone; a name or an address, IPv6 without brackets.
  package let host: String
  package let port: Int
  package let bucket: String
  /// Without slashes at its ends; may be empty.
  package let prefix: String
  /// Of the signature; servers that have none take "us-east-1".
  package let region: String

  /// `https://host[:port]/bucket[/prefix]`. Throws `.invalid`: TLS always, no user, query or dots in the path.
  package init(_ url: String, region: String = "us-east-1") throws(OffSiteError) {
    func invalid(_ why: String) -> OffSiteError {
      OffSiteError(.invalid, "\(why): give it as https://HOST[:PORT]/BUCKET[/PREFIX]")
    }
    guard url.hasPrefix("https://") else { throw invalid("an off-site copy goes over TLS only") }
    let rest = url.dropFirst(8)
    guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !Self.refused.contains($0) }) else {
      throw invalid("the address of the off-site copy has characters that it may not have")
    }
    let parts = rest.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 2 else { throw invalid("the address of the off-site copy names no bucket") }
    (host, port) = try Self.authority(parts[0])
    bucket = parts[1]
    guard (3...63).contains(bucket.utf8.count), bucket.utf8.allSatisfy(Self.isBucketByte), !bucket.contains("..") else {
      throw invalid("\"\(bucket)\" is no name of a bucket")
    }
    var path = (parts.count > 2 ? parts[2] : "")[...]
    while path.hasSuffix("/") { path.removeLast() }
    let segments = path.split(separator: "/", omittingEmptySubsequences: false)
    guard path.isEmpty || segments.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
      throw invalid("the prefix of the off-site copy has empty or dotted parts")
    }
    prefix = String(path)
    guard prefix.utf8.count <= 512 else { throw invalid("the prefix of the off-site copy is longer than 512 bytes") }
    guard !region.isEmpty, region.utf8.count <= 64, region.utf8.allSatisfy(Self.isBucketByte) else {
      throw OffSiteError(.invalid, "\"\(region)\" is no region: try us-east-1")
    }
    self.region = region
  }

  /// `#`, `?`, `@`, `%`, backslash and quotes.
  private static let refused: Set<UInt8> = [0x23, 0x3F, 0x40, 0x25, 0x5C, 0x22, 0x27]

  private static func isBucketByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 97...122, 45, 46: true
    default: false
    }
  }

  private static func authority(_ text: String) throws(OffSiteError) -> (String, Int) {
    var (host, port) = (text[...], ""[...])
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { throw OffSiteError(.invalid, "\"\(text)\" is no host") }
      host = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":"), IPAddress(String(host)) != nil else {
        throw OffSiteError(.invalid, "\"\(text)\" is no host")
      }
      port = rest.dropFirst()
      if rest == ":" { throw OffSiteError(.invalid, "\"\(text)\" names no port behind its colon") }
    } else if let colon = text.firstIndex(of: ":") {
      (host, port) = (text[..<colon], text[text.index(after: colon)...])
      if port.isEmpty { throw OffSiteError(.invalid, "\"\(text)\" names no port behind its colon") }
    }
    guard !host.isEmpty, host.utf8.count <= 253 else { throw OffSiteError(.invalid, "\"\(text)\" is no host") }
    guard !port.isEmpty else { return (String(host), 443) }
    guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(port), (1...65_535).contains(number) else {
      throw OffSiteError(.invalid, "\"\(port)\" is no port")
    }
    return (String(host), number)
  }

  /// As it stands in a URL and in the field `host`.
  package var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == 443 ? name : "\(name):\(port)"
  }

  /// The key of an object below the prefix.
  package func key(_ path: String) -> String { prefix.isEmpty ? path : "\(prefix)/\(path)" }
}

extension OffSiteTarget: CustomStringConvertible {
  package var description: String { "https://\(authority)/\(key("").isEmpty ? bucket : "\(bucket)/\(prefix)")" }
}

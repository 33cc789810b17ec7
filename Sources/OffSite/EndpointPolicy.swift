// Which targets a node talks to: those that its operator lists. An address is resolved once, checked, and kept for all
// connections, so that a name cannot mean another machine after it was checked.

package struct EndpointPolicy: Sendable, Equatable {
  /// Hosts, or `*.example.com` for every name below it. Empty: none.
  package var allowedHosts: [String]
  /// Whether loopback, link-local and private networks may be talked to.
  package var allowsPrivate: Bool

  package init(allowedHosts: [String], allowsPrivate: Bool) {
    self.allowedHosts = allowedHosts
    self.allowsPrivate = allowsPrivate
  }

  /// Throws `.forbidden` for a host that is not on the list.
  package func check(_ target: OffSiteTarget) throws(OffSiteError) {
    let host = target.host.lowercased()
    let isAllowed = allowedHosts.contains { entry in
      let entry = entry.lowercased()
      return entry == host || entry.hasPrefix("*.") && host.hasSuffix(entry.dropFirst()) && host.count >= entry.count
    }
    guard isAllowed else {
      throw OffSiteError(.forbidden, "\(target.host) is not on the operator's list of off-site hosts (offsite.hosts)")
    }
  }

  /// The address to connect to. One that is refused makes all of them refused: a name that means a machine inside, too, was
  /// made by somebody who wants in.
  package func pick(_ addresses: [IPAddress], of target: OffSiteTarget) throws(OffSiteError) -> IPAddress {
    guard let first = addresses.first else {
      throw OffSiteError(.unavailable, "\(target.host) has no address: check its name and this node's resolver")
    }
    if !allowsPrivate, let inside = addresses.first(where: { !$0.isPublic }) {
      throw OffSiteError(
        .forbidden,
        "\(target.host) is \(inside), which lies in no public network; the operator may allow that (offsite.allow_private)"
      )
    }
    // Most machines have IPv4, and an IPv6 address without a route fails only after a while.
    return addresses.first { $0.bytes.count == 4 } ?? first
  }
}

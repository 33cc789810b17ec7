// Letting nodes in, and giving those that are in new certificates. Both are an issuer's.

import Base
import ControlStores
import Fabric
import Formats
import Foundation
import Logging
import OpenSSL
import Threads
import UVLoop

extension ClusterService {
  /// A join token; the issuer that answers it is this node.
  func invite(
    name: String, region: String, makesIssuer: Bool, hosts: [String]
  ) async throws(NodeError) -> Invitation {
    try Self.checkName(name, "a node's name")
    try Self.checkName(region, "a region")
    guard let issuer = try? ClusterIssuer(material.with { $0 }) else {
      let issuers = control.view.with { view in
        view.nodes.values.map(\.record).filter { $0.isIssuer && $0.state != .removed }.map { "\($0.name) (\($0.url))" }
      }
      throw NodeError(
        .refused, "this node cannot make certificates: ask \(issuers.sorted().joined(separator: ", "))")
    }
    let expiresAt = parts.clock.now + configuration.fabric.invitationLife.wholeMicroseconds
    let (id, secret) = (SystemRandom.bytes(16).hex, SystemRandom.bytes(32).hex)
    let invitation = Invitation(
      cluster: material.with { $0.clusterName }, pin: issuer.pin, addresses: ["\(addresses.fabric)"], id: id,
      secret: secret, name: name, region: region, expiresAt: expiresAt)
    let stored = StoredInvitation(
      secretHash: Invitation.hash(secret).hex, name: name, region: region, makesIssuer: makesIssuer,
      hosts: hosts, expiresAt: expiresAt)
    try await control.change { view throws(NodeError) in
      if let other = view.node(named: name), other.record.state != .joining {
        throw NodeError(
          .exists, "the cluster has a node named \(name) already: choose another name, or remove it first")
      }
      return PlannedChange(
        changes: [.put(ControlKeys.invitation(id), try ControlKeys.encode(stored))], value: ())
    }
    logger.info("node invited", metadata: ["name": "\(name)", "region": "\(region)"])
    return invitation
  }

  private static func checkName(_ text: String, _ what: String) throws(NodeError) {
    guard (1...63).contains(text.utf8.count),
      text.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 45 })
    else { throw NodeError(.invalid, "\(what) has 1 to 63 of a-z, 0-9 and -") }
  }

  // MARK: answering

  func serve() {
    let clock = parts.clock
    dispatch.set { handlers in
      handlers.join = { [weak self] question, address in await self?.join(question, from: address) }
      handlers.answers[FabricMethod.renew.rawValue] = { [weak self] question, peer in
        await self?.renew(question, for: peer)
      }
      handlers.answers[FabricMethod.controlMember.rawValue] = { [weak self] question, _ in
        guard let self, let told: EtcdFiles.Membership = ClusterJSON.decode(question) else { return nil }
        return (try? await self.startMember(told)) == nil ? nil : [1]
      }
      handlers.answers[FabricMethod.clock.rawValue] = { _, _ in
        var writer = ByteWriter(capacity: 8)
        writer.put(clock.now)
        return writer.bytes
      }
    }
  }

  private func join(_ question: [UInt8], from address: SocketAddress?) async -> [UInt8]? {
    guard question.count <= JoinRequest.bytesMax, let request: JoinRequest = ClusterJSON.decode(question) else {
      return ClusterJSON.encode(JoinAnswer(refusal: "the request cannot be read: use the same release"))
    }
    do throws(NodeError) {
      let grant = try await admit(request, from: address)
      logger.notice("node joined", metadata: ["name": "\(request.name)", "region": "\(request.region)"])
      return ClusterJSON.encode(JoinAnswer(grant: grant))
    } catch {
      parts.metrics.counter("komora_cluster_joins_refused_total").increment()
      logger.notice(
        "join refused", metadata: ["from": "\(address.map { "\($0)" } ?? "?")", "reason": "\(error.message)"])
      return ClusterJSON.encode(JoinAnswer(refusal: error.message))
    }
  }

  /// Uses the token up, writes the node's record, and issues what the node needs: all or nothing of the first two.
  private func admit(_ request: JoinRequest, from source: SocketAddress?) async throws(NodeError) -> JoinGrant {
    let unknown = NodeError(
      .refused,
      "the join token is not valid: it works once and for 15 minutes; make another with `komora cluster invite`")
    guard [UInt8](hex: request.invitation)?.count == 16 else { throw unknown }
    let entry: ControlEntry?
    do throws(ControlStoreError) {
      entry = try await control.store.entry(ControlKeys.invitation(request.invitation))
    } catch {
      throw NodeError(.unavailable, "the control store does not answer: try again in a moment")
    }
    guard let entry, let invitation: StoredInvitation = try? ControlKeys.decode(entry),
      let hash = [UInt8](hex: invitation.secretHash), constantTimeEqual(hash, Invitation.hash(request.secret)),
      parts.clock.now < invitation.expiresAt, request.name == invitation.name, request.region == invitation.region,
      let id = NodeID(request.node), id != nodeID
    else { throw unknown }
    guard let fabric = SocketAddress(request.fabric), ClusterAddresses.hasRoomForEtcd(fabric),
      request.url.hasPrefix("https://"), request.url.utf8.count <= 256, request.zone.utf8.count <= 63
    else { throw NodeError(.invalid, "the node's addresses or its zone cannot be used") }
    // Else a token for one node would be good for a certificate in the name of another one's host.
    let allowed = invitation.hosts.isEmpty ? source.map { [ClusterAddresses.host($0)] } ?? [] : invitation.hosts
    for host in ClusterAddresses.hosts(fabric: request.fabric, url: request.url) where !allowed.contains(host) {
      throw NodeError(
        .refused,
        "the node calls itself \(host) and comes from \(source.map(ClusterAddresses.host) ?? "nowhere"): if that "
          + "is right, invite it with --host \(host)")
    }
    if control.view.with({ $0.invitations[entry.key] }) != entry.revision { try await control.catchUp() }
    let grant = try grant(request, id, makesIssuer: invitation.makesIssuer)
    let record = NodeRecord(
      id: id, name: request.name, region: request.region, zone: request.zone, fabric: request.fabric, url: request.url,
      state: .joining, joinedAt: parts.clock.now, isIssuer: invitation.makesIssuer, ringGeneration: 0)
    try await control.change { view throws(NodeError) -> PlannedChange<Void> in
      let key = ControlKeys.node(id)
      guard view.invitations[entry.key] == entry.revision else { throw unknown }
      if let present = view[id]?.record {
        // A token is good for one node's place: not for another's that has not started yet.
        let isSame = present.name == request.name && present.region == request.region
        guard present.state == .joining, isSame else { throw unknown }
      }
      var changes: [ControlChange] = [.delete(entry.key), .put(key, try ControlKeys.encode(StoredNode(record)))]
      if let other = view.node(named: record.name), other.record.id != id {
        guard other.record.state == .joining else { throw unknown }
        // Let in before, never started: its place is taken over.
        changes.append(.delete(ControlKeys.node(other.record.id)))
      }
      let (names, mark) = view.addingName(.nodes)
      return PlannedChange(
        conditions: [
          ControlCondition(entry.key, at: entry.revision), ControlCondition(key, at: view[id]?.revision ?? 0), names,
        ], changes: changes + [mark], value: ())
    }
    return grant
  }

  private func grant(_ request: JoinRequest, _ id: NodeID, makesIssuer: Bool) throws(NodeError) -> JoinGrant {
    let material = material.with { $0 }
    do throws(X509Error) {
      guard let issuer = try ClusterIssuer(material) else {
        throw X509Error(.mismatch, "this node cannot make certificates any more")
      }
      let certificates = try issuer.issue(
        request.requests, to: id, region: request.region,
        hosts: ClusterAddresses.hosts(fabric: request.fabric, url: request.url), at: parts.clock.now,
        life: configuration.fabric.certificateLife)
      return JoinGrant(
        cluster: material.clusterName, clusterID: material.clusterID.hex, controlRoot: material.controlRoot.copy.hex,
        authority: material.authority, certificates: certificates, ring: material.ring.contents.encode().hex,
        controlEndpoints: material.control.endpoints, controlAuthority: material.control.authority,
        isManaged: material.control.isManaged,
        authorities: makesIssuer
          ? material.recoveryContents(withAuthorities: material.authorities).encode().hex : nil)
    } catch {
      throw NodeError(.invalid, "no certificate can be made: \(error)")
    }
  }

  /// New certificates for the identity that the asker has proved.
  private func renew(_ question: [UInt8], for peer: X509Identity) async -> [UInt8]? {
    guard question.count <= JoinRequest.bytesMax, let requests: CertificateRequests = ClusterJSON.decode(question),
      let record = control.view.with({ $0[peer.id]?.record }), record.state != .removed, record.region == peer.region
    else { return nil }
    return try? ClusterJSON.encode(certificates(requests, for: record))
  }

  func certificates(
    _ requests: CertificateRequests, for record: NodeRecord
  ) throws(NodeError) -> IssuedCertificates {
    do throws(X509Error) {
      guard let issuer = try ClusterIssuer(material.with { $0 }) else {
        throw X509Error(.mismatch, "this node cannot make certificates")
      }
      return try issuer.issue(
        requests, to: record.id, region: record.region,
        hosts: ClusterAddresses.hosts(fabric: record.fabric, url: record.url), at: parts.clock.now,
        life: configuration.fabric.certificateLife)
    } catch {
      throw NodeError(.refused, "no certificate can be made: \(error)")
    }
  }
}

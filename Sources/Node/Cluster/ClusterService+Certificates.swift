// A node's certificates are renewed after two thirds of their life. Links that stand go on under the old ones, and are
// made again one by one under the new.

import Base
import ControlStores
import Disk
import Fabric
import Logging
import OpenSSL
import Threads
import UVLoop

extension ClusterService {
  /// Certificates that are in use, wherever they are used. What the cluster file has and these have not is still to be
  /// applied, whatever interrupted it.
  struct AppliedCertificates: Equatable {
    var fabric: String
    var controlClient: String

    init(_ material: ClusterMaterial) {
      fabric = material.identity.certificate
      controlClient = material.control.client.certificate
    }
  }

  func keepCertificates() async {
    while !Task.isCancelled {
      do throws(NodeError) {
        if let due = renewalDue, due <= parts.clock.now {
          try await renewCertificates()
        } else {
          // Also what an end in the middle of a renewal left behind.
          try await applyCertificates()
        }
      } catch {
        logger.warning("certificates not renewed yet", metadata: ["reason": "\(error.message)"])
      }
      try? await Task.sleep(for: min(configuration.fabric.certificateLife / 100, .seconds(60)))
    }
  }

  /// Two thirds of the way through the life of what the cluster issued.
  private var renewalDue: UnixMicroseconds? {
    guard let certificate = try? X509Certificate(pem: material.with { $0.identity.certificate }) else { return nil }
    let life = certificate.notAfter - certificate.notBefore
    return (certificate.notBefore + life * 2 / 3) * 1_000_000
  }

  /// Asks the issuers in turn; an issuer makes its own.
  func renewCertificates() async throws(NodeError) {
    guard let own = control.view.with({ $0[self.nodeID]?.record }) else {
      throw NodeError(.unavailable, "this node is not in the control store yet")
    }
    let keys = OwnKeys()
    let issued = try await issue(keys.requests, own)
    do {
      try await changeMaterial { $0.take(issued, keys) }
    } catch {
      throw NodeError(describing: error)
    }
    try await applyCertificates()
  }

  /// Puts what the cluster file has to use, as far as it is not yet: in the fabric at once, whatever becomes of the
  /// rest; each step is repeated until it was done.
  private func applyCertificates() async throws(NodeError) {
    do {
      try await certificatesGate.run { try await self.applyAll() }
    } catch let error as ControlStoreError {
      throw NodeError(error)
    } catch {
      throw NodeError(describing: error)
    }
  }

  private func applyAll() async throws {
    let now = material.with { $0 }
    let wanted = AppliedCertificates(now)
    let isNew = applied.with { $0 != wanted }
    if applied.with({ $0.fabric != wanted.fabric }) {
      try await endpoint.use(parts.credentials(now))
      await endpoint.renewLinks(spread: .milliseconds(100))
      applied.with { $0.fabric = wanted.fabric }
    }
    try await writeEtcdFiles()
    if applied.with({ $0.controlClient != wanted.controlClient }) {
      try await (control.store as? EtcdControlStore)?.renewCertificates()
      applied.with { $0.controlClient = wanted.controlClient }
    }
    guard isNew else { return }
    parts.metrics.counter("komora_cluster_certificates_renewed_total").increment()
    logger.notice("certificates renewed")
  }

  /// Certificates and keys as the cluster file has them; what has not changed is not written.
  private func writeEtcdFiles() async throws(NodeError) {
    let (configuration, node, material) = (configuration, nodeID, material.with { $0 })
    do {
      try await blocking {
        _ = try EtcdFiles.client(material, configuration, RealDisk())
        try EtcdFiles.writeMember(material, configuration, RealDisk(), node: node, membership: nil)
      }
    } catch {
      throw NodeError(describing: error)
    }
  }

  private func issue(
    _ requests: CertificateRequests, _ own: NodeRecord
  ) async throws(NodeError) -> IssuedCertificates {
    if material.with({ $0.authorities != nil }) { return try certificates(requests, for: own) }
    let issuers = control.view.with { view in
      view.nodes.values.map(\.record).filter { $0.isIssuer && $0.id != nodeID && $0.state != .removed }
    }
    var reason = "the cluster has no issuer: restore one from the recovery kit"
    for issuer in issuers.sorted(by: { $0.name < $1.name }) {
      guard let address = SocketAddress(issuer.fabric) else { continue }
      do throws(FabricError) {
        let answer = try await endpoint.ask(
          issuer.id, at: address, method: FabricMethod.renew.rawValue, ClusterJSON.encode(requests),
          deadline: configuration.fabric.questionTimeout)
        if let issued: IssuedCertificates = ClusterJSON.decode(answer) { return issued }
        reason = "the answer of \(issuer.name) cannot be read"
      } catch { reason = "\(issuer.name) does not answer: \(error.message)" }
    }
    throw NodeError(.unavailable, reason)
  }
}

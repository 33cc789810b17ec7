// The cluster: who belongs to it and how they are, letting nodes in and out, keys, and what a loss would mean.

import Base
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node

extension AdminService {
  private struct NewInvitation: Decodable {
    var name: String
    var region: String
    /// The new node may make certificates too.
    var issuer: Bool?
    /// Hosts that its certificates may name; without any, the address that it comes from.
    var hosts: [String]?
  }

  private struct NewClient: Decodable {
    var days: Int?
  }

  private struct Removal: Decodable {
    var acceptLoss: Bool?
  }

  private struct LossRequest: Decodable {
    var nodes: [String]?
    var regions: [String]?
  }

  private struct KitRequest: Decodable {
    var recipient: String?
    var passphrase: String?
  }

  func addClusterRoutes(to router: RouterGroup<APIContext>) {
    router.get("cluster") { request, context in
      try access.administrator(.read, request, context)
      return try AdminJSON.response(ClusterReply(await node.clusterStatus()))
    }
    router.post("cluster/invitations") { request, context in
      try access.administrator(.cluster, request, context)
      let wanted = try await body(NewInvitation.self, of: request, context)
      let invitation = try await node.invite(
        name: wanted.name, region: wanted.region, makesIssuer: wanted.issuer ?? false, hosts: wanted.hosts ?? [])
      return try AdminJSON.response(InvitationReply(invitation), status: .created)
    }
    router.post("cluster/clients") { request, context in
      try access.administrator(.cluster, request, context)
      let days = try await body(NewClient.self, of: request, context).days ?? 90
      guard (1...366).contains(days) else {
        throw APIError(.unprocessableContent, code: "invalid", "days must be 1 to 366")
      }
      let certificate = try node.issueClient(validFor: .seconds(days * 86_400))
      context.logger.notice("client certificate made")
      return try AdminJSON.response(ClientCertificateReply(certificate), status: .created)
    }
    router.post("cluster/nodes/:node/drain") { request, context in
      try await drain(request, context, true)
    }
    router.post("cluster/nodes/:node/undrain") { request, context in
      try await drain(request, context, false)
    }
    router.post("cluster/nodes/:node/remove") { request, context in
      try access.administrator(.cluster, request, context)
      let wanted = try await body(Removal.self, of: request, context)
      let record = try await node.removeNode(
        context.parameters.get("node") ?? "", acceptingLoss: wanted.acceptLoss ?? false)
      return try AdminJSON.response(ClusterNodeReply(record))
    }
    router.post("cluster/what-if") { request, context in
      try access.administrator(.read, request, context)
      let wanted = try await body(LossRequest.self, of: request, context)
      return try AdminJSON.response(
        WhatIfReply(await node.whatIf(nodes: wanted.nodes ?? [], regions: wanted.regions ?? [])))
    }
    addClusterKeyRoutes(to: router)
  }

  private func addClusterKeyRoutes(to router: RouterGroup<APIContext>) {
    router.post("cluster/rotate-keys") { request, context in
      try access.administrator(.cluster, request, context)
      try await node.rotateDatagramKey()
      return Response(status: .accepted)
    }
    router.post("cluster/renew-certificates") { request, context in
      try access.administrator(.cluster, request, context)
      try await node.renewCertificates()
      return Response(status: .noContent)
    }
    router.post("cluster/recovery-kit") { request, context in
      try access.administrator(.cluster, request, context)
      let wanted = try await body(KitRequest.self, of: request, context)
      let recipient: RecoveryRecipient
      switch (wanted.recipient, wanted.passphrase) {
      case (let age?, nil): recipient = .age(age)
      case (nil, let passphrase?): recipient = .passphrase(passphrase)
      default: throw APIError(.badRequest, code: "invalid", "give one of recipient and passphrase")
      }
      let kit = try await node.recoveryKit(recipient)
      context.logger.notice("recovery kit made")
      return Response(
        status: .ok, headers: [.contentType: "application/octet-stream", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: kit)))
    }
  }

  private func drain(_ request: Request, _ context: APIContext, _ isDraining: Bool) async throws -> Response {
    try access.administrator(.cluster, request, context)
    let report = try await node.drain(context.parameters.get("node") ?? "", isDraining)
    return try AdminJSON.response(DrainReply(report))
  }
}

// API keys of accounts, and their recovery files. An account's own token can neither make keys nor take the account's
// key out: whoever steals one must not be able to keep what it opens.

import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node

extension AdminService {
  private struct NewKeyRequest: Decodable {
    var label: String?
  }

  private struct RecoveryRequest: Decodable {
    var recipient: String?
    var passphrase: String?
  }

  func addKeyRoutes(to router: RouterGroup<APIContext>) {
    router.get("accounts/:account/keys") { request, context in
      let record = try access.account(.keys, ownerToo: false, request, context)
      return try AdminJSON.response(KeysReply(keys: try node.keys(account: record.name).map(KeyReply.init)))
    }
    router.post("accounts/:account/keys") { request, context in
      let record = try access.account(.keys, ownerToo: false, request, context)
      let label = try await body(NewKeyRequest.self, of: request, context).label ?? ""
      let key = try await node.createKey(account: record.name, label: label)
      context.logger.info("key created", metadata: ["account": "\(record.id)", "key": "\(key.accessKey)"])
      return try AdminJSON.response(KeyReply(key), status: .created)
    }
    router.delete("accounts/:account/keys/:key") { request, context in
      let record = try access.account(.keys, ownerToo: false, request, context)
      let key = context.parameters.get("key") ?? ""
      try await node.revokeKey(account: record.name, accessKey: key)
      context.logger.info("key revoked", metadata: ["account": "\(record.id)", "key": "\(key)"])
      return Response(status: .noContent)
    }
  }

  func addRecoveryRoute(to router: RouterGroup<APIContext>) {
    router.post("accounts/:account/recovery") { request, context in
      let record = try access.account(.keys, ownerToo: false, request, context)
      let wanted = try await body(RecoveryRequest.self, of: request, context)
      let recipient: RecoveryRecipient
      switch (wanted.recipient, wanted.passphrase) {
      case (let key?, nil): recipient = .age(key)
      case (nil, let passphrase?): recipient = .passphrase(passphrase)
      default: throw APIError(.badRequest, code: "invalid", "give either recipient or passphrase")
      }
      let file = try await node.recoveryFile(account: record.name, recipient: recipient)
      context.logger.notice("recovery file made", metadata: ["account": "\(record.id)"])
      return Response(
        status: .ok, headers: [.contentType: "application/octet-stream", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: file)))
    }
  }
}

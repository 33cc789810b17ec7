// The requests to the S3 port that an import makes: list, and put with a body from a file.

import AsyncHTTPClient
import Base
import Foundation
import NIOCore
import NIOHTTP1
import OpenSSL
import SigV4
import Threads

struct S3Client: Sendable {
  typealias Object = S3ListingPage.Object

  let exchange: HTTPExchange
  let nodes: NodeAddresses
  let bucket: String
  private let signer: RequestSigner
  private let files: WorkPool
  private let buffers = BufferPool(capacity: FileContent.bytesMax, countMax: RecordingsImport.parallel)

  init(
    exchange: HTTPExchange, nodes: NodeAddresses, bucket: String, accessKey: String, secretKey: String, files: WorkPool
  ) {
    self.exchange = exchange
    self.nodes = nodes
    self.bucket = bucket
    self.files = files
    signer = RequestSigner(accessKey: accessKey, secret: SecretBytes(Array(secretKey.utf8)), region: "us-east-1")
  }

  /// Everything in the bucket by key.
  func list() async throws -> [String: Object] {
    var objects: [String: Object] = [:]
    var token: String?
    repeat {
      var query = "encoding-type=url&list-type=2&max-keys=1000"
      if let token { query = "continuation-token=\(URIEncoding.encode(token))&" + query }
      let reply = try await send(.GET, "/\(bucket)?\(query)", fields: [], body: nil)
      guard reply.status == 200 else { throw Self.failure(reply) }
      let page = try S3ListingPage(parsing: reply.body)
      objects.merge(page.objects) { $1 }
      token = page.nextToken
    } while token != nil
    return objects
  }

  /// Puts the file at `path` under `key`; what arrived is compared with what was read.
  func put(_ path: String, key: String, bytes: Int64, type: String) async throws {
    guard bytes <= FileContent.bytesMax else { return try await stream(path, key: key, bytes: bytes, type: type) }
    let content = try await FileContent.read(path, bytes: Int(bytes), pool: files, buffers: buffers)
    defer { buffers.give(content.buffer) }
    // The node compares the checksum, and need not compute the MD5 a second time. That field is outside the signature: a
    // node of an older release that passes the request on drops it, and the MD5 is computed where it arrives.
    let reply = try await send(
      .PUT, target(key), fields: [("content-type", type), ("x-amz-checksum-crc32c", Base64.encode(content.crc32c))],
      unsigned: [("komora-content-md5", Base64.encode(content.md5))], body: .bytes(content.buffer))
    guard reply.status == 200 else { throw Self.failure(reply) }
    guard Self.etag(reply) == content.md5.hex else {
      throw CommandFailure(.failed, "\(path) did not arrive as it was sent: run the import again")
    }
  }

  private func target(_ key: String) -> String { "/\(bucket)/\(URIEncoding.encode(key, keepSlash: true))" }

  private static func etag(_ reply: HTTPAnswer) -> String? {
    reply.headers.first(name: "etag")?.trimmingCharacters(in: CharacterSet(charactersIn: "\""))
  }

  /// As `put`, of a file of any size.
  private func stream(_ path: String, key: String, bytes: Int64, type: String) async throws {
    let file = try FileStream(path: path, pool: files)
    defer { file.close() }
    let reply = try await send(
      .PUT, target(key), fields: [("content-type", type)], body: .stream(file, length: .known(bytes)))
    guard reply.status == 200 else { throw Self.failure(reply) }
    guard try await file.md5() == Self.etag(reply) else {
      throw CommandFailure(.failed, "\(path) changed while it was sent: run the import again")
    }
  }

  private func send(
    _ method: HTTPMethod, _ target: String, fields: [(name: String, value: String)],
    unsigned: [(name: String, value: String)] = [], body: HTTPClientRequest.Body?
  ) async throws -> HTTPAnswer {
    let base = nodes.current
    let host = String(base.drop { $0 != ":" }.dropFirst(3))
    var signed = [(name: "host", value: host)] + fields
    do {
      // TLS protects the body, and the ETag that comes back is compared: it need not be hashed twice.
      signed += try signer.sign(
        method: method.rawValue, target: try RequestTarget(target), fields: signed, payloadHash: nil,
        now: Int64(Date().timeIntervalSince1970))
    } catch {
      throw CommandFailure(.failed, "a request cannot be signed: \(error)")
    }
    var headers = HTTPHeaders()
    for field in signed + unsigned where field.name != "host" { headers.add(name: field.name, value: field.value) }
    do {
      return try await exchange.send(method, base + target, headers: headers, body: body, timeout: .hours(2))
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      nodes.leave(base)
      throw HTTPExchange.failure(error, base)
    }
  }

  private static func failure(_ reply: HTTPAnswer) -> CommandFailure {
    let text = String(decoding: reply.body.prefix(4096), as: UTF8.self)
    let message = S3ListingPage.element("Message", in: text[...]) ?? "the S3 port answered with status \(reply.status)"
    // Putting the same bytes once more does no harm, whether the first time counted or not.
    let isLost = S3ListingPage.element("Code", in: text[...]) == "InternalError"
    return CommandFailure(isLost ? .unavailable : CommandFailure.kind(status: reply.status), message)
  }
}

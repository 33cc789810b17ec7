// An S3-compatible server over TLS: signed requests, each body with its hash, answers bounded in size and time.
//
// The address is resolved once and kept (EndpointPolicy). What the network or the server fails at is tried again with
// longer and longer pauses; redirects are not followed, since they would send signed requests elsewhere.

import AsyncHTTPClient
import Base
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
package import OpenSSL
import SigV4
package import Threads

package struct S3Credentials: Sendable {
  package var accessKey: String
  package var secret: SecretBytes

  package init(accessKey: String, secret: SecretBytes) {
    self.accessKey = accessKey
    self.secret = secret
  }
}

package struct S3Timing: Sendable, Equatable {
  package var connect: Duration
  /// From a request's beginning to its answer's end.
  package var request: Duration
  package var attempts: Int
  /// Before the second attempt; doubles with each further one, up to a hundredfold.
  package var pause: Duration

  package init(
    connect: Duration = .seconds(5), request: Duration = .seconds(120), attempts: Int = 6,
    pause: Duration = .milliseconds(200)
  ) {
    self.connect = connect
    self.request = request
    self.attempts = attempts
    self.pause = pause
  }
}

package final class S3ObjectStore: ObjectStore {
  private let target: OffSiteTarget
  private let signer: RequestSigner
  private let client: HTTPClient
  private let timing: S3Timing
  private static let documentBytesMax = 16 << 20
  /// Objects or uploads of one archive: a server must not fill the memory with pages that never end.
  private static let listedMax = 1_000_000

  /// Looks the host up on `pool`. `ca` is a PEM file, nil for the system's authorities. Throws what the policy says, and
  /// `.invalid` for a file that cannot be read.
  package static func open(
    _ target: OffSiteTarget, _ credentials: S3Credentials, policy: EndpointPolicy, ca: String? = nil,
    timing: S3Timing = S3Timing(), pool: WorkPool
  ) async throws(OffSiteError) -> S3ObjectStore {
    try policy.check(target)
    let addresses: [IPAddress]
    do { addresses = try await pool.perform { Resolver.addresses(of: target.host) } } catch {
      throw OffSiteError(.unavailable, "the process ends")
    }
    let address = try policy.pick(addresses, of: target)
    return try S3ObjectStore(target, credentials, at: address, ca: ca, timing: timing)
  }

  private init(
    _ target: OffSiteTarget, _ credentials: S3Credentials, at address: IPAddress, ca: String?, timing: S3Timing
  ) throws(OffSiteError) {
    self.target = target
    self.timing = timing
    signer = RequestSigner(
      accessKey: credentials.accessKey, secret: credentials.secret, region: target.region)
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv12
    if let ca {
      do { tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(ca)) } catch {
        throw OffSiteError(.invalid, "the off-site storage's authority cannot be read as PEM: \(ca)")
      }
    }
    var http = HTTPClient.Configuration(tlsConfiguration: tls)
    http.timeout.connect = Self.amount(timing.connect)
    http.redirectConfiguration = .disallow
    http.httpVersion = .http1Only
    http.dnsOverride = [target.host: "\(address)"]
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: http)
  }

  /// Ends all connections; the store is of no use afterwards.
  package func close() async { try? await client.shutdown() }

  // MARK: objects

  package func list(prefix: String) async throws(OffSiteError) -> [StoredObject] {
    var objects: [StoredObject] = []
    var token: String?
    repeat {
      var query = [("encoding-type", "url"), ("list-type", "2"), ("max-keys", "1000"), ("prefix", prefix)]
      if let token { query.append(("continuation-token", token)) }
      let page = try ListedPage(parsing: try await send(.GET, nil, query).body)
      objects += page.objects
      guard page.next == nil || page.next != token, objects.count <= Self.listedMax else { throw Self.standsStill }
      token = page.next
    } while token != nil
    return objects
  }

  package func read(_ key: String, from offset: UInt64, count: Int) async throws(OffSiteError) -> [UInt8] {
    guard count > 0 else { return [] }
    let answer = try await send(
      .GET, key, fields: [("range", "bytes=\(offset)-\(offset + UInt64(count) - 1)")], bytesMax: count + 1,
      expects: [200, 206, 416])
    switch answer.status {
    // Behind its end.
    case 416: return []
    case 206: return answer.body
    // The whole object, from a server that takes no ranges.
    default: return Array(answer.body.dropFirst(Int(clamping: offset)).prefix(count))
    }
  }

  package func put(_ key: String, _ bytes: [UInt8], lock: ObjectLock?) async throws(OffSiteError) {
    // A lock wants a checksum of the body beside its signed hash.
    let checksum = (name: "x-amz-checksum-sha256", value: Base64.encode(SHA256.hash(bytes)))
    _ = try await send(.PUT, key, fields: lock == nil ? [] : Self.fields(lock) + [checksum], body: bytes)
  }

  package func remove(_ key: String) async throws(OffSiteError) {
    _ = try await send(.DELETE, key, expects: [200, 204, 404])
  }

  // MARK: uploads in parts

  package func uploads(prefix: String) async throws(OffSiteError) -> [StoredUpload] {
    var uploads: [StoredUpload] = []
    var marker: (key: String, id: String)?
    repeat {
      var query = [("encoding-type", "url"), ("max-uploads", "1000"), ("prefix", prefix), ("uploads", "")]
      if let marker { query += [("key-marker", marker.key), ("upload-id-marker", marker.id)] }
      let page = try ListedUploads(parsing: try await send(.GET, nil, query).body)
      // Some servers do not look at the prefix.
      uploads += page.uploads.filter { $0.key.hasPrefix(prefix) }
      let goesOn = page.next == nil || page.next!.key != marker?.key || page.next!.id != marker?.id
      guard goesOn, uploads.count <= Self.listedMax else {
        throw Self.standsStill
      }
      marker = page.next
    } while marker != nil
    return uploads
  }

  package func beginUpload(_ key: String, lock: ObjectLock?) async throws(OffSiteError) -> StoredUpload {
    let answer = try await send(.POST, key, [("uploads", "")], fields: Self.fields(lock))
    return StoredUpload(key: key, id: try XMLElement(parsing: answer.body).required("UploadId"))
  }

  package func parts(of upload: StoredUpload) async throws(OffSiteError) -> [StoredPart] {
    var parts: [StoredPart] = []
    var marker: Int?
    repeat {
      var query = [("max-parts", "1000"), ("uploadId", upload.id)]
      if let marker { query.append(("part-number-marker", String(marker))) }
      let page = try ListedParts(parsing: try await send(.GET, upload.key, query).body)
      parts += page.parts
      guard page.next == nil || page.next! > marker ?? 0 else { throw Self.standsStill }
      marker = page.next
    } while marker != nil
    return parts
  }

  package func put(
    part number: Int, of upload: StoredUpload, _ bytes: [UInt8]
  ) async throws(OffSiteError) -> StoredPart {
    let answer = try await send(
      .PUT, upload.key, [("partNumber", String(number)), ("uploadId", upload.id)], body: bytes)
    guard let etag = answer.headers.first(name: "etag") else {
      throw OffSiteError(.damaged, "the off-site storage answered a part without its ETag")
    }
    return StoredPart(number: number, bytes: UInt64(bytes.count), etag: etag)
  }

  package func finish(_ upload: StoredUpload, _ parts: [StoredPart]) async throws(OffSiteError) {
    let list = parts.sorted { $0.number < $1.number }.map {
      "<Part><PartNumber>\($0.number)</PartNumber><ETag>\(Self.escaped($0.etag))</ETag></Part>"
    }
    let body = "<CompleteMultipartUpload>\(list.joined())</CompleteMultipartUpload>"
    let answer = try await send(.POST, upload.key, [("uploadId", upload.id)], body: Array(body.utf8))
    // S3 may fail after it has said 200.
    let root = try XMLElement(parsing: answer.body)
    if root.name == "Error" { throw Self.failure(200, answer.body) }
  }

  package func abort(_ upload: StoredUpload) async throws(OffSiteError) {
    _ = try await send(.DELETE, upload.key, [("uploadId", upload.id)], expects: [200, 204, 404])
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }

  private static let standsStill = OffSiteError(.damaged, "the off-site storage gives pages without an end")

  private static func fields(_ lock: ObjectLock?) -> [(name: String, value: String)] {
    guard let lock else { return [] }
    let date = Date(timeIntervalSince1970: Double(lock.until / 1_000_000))
    let text = date.formatted(.iso8601)
    return [("x-amz-object-lock-mode", lock.mode.rawValue), ("x-amz-object-lock-retain-until-date", text)]
  }

  // MARK: one request

  private struct Answer {
    var status: Int
    var headers: HTTPHeaders
    var body: [UInt8]
  }

  /// Tries again what may be: all requests here do the same the second time.
  private func send(
    _ method: HTTPMethod, _ key: String?, _ query: [(name: String, value: String)] = [],
    fields: [(name: String, value: String)] = [], body: [UInt8] = [], bytesMax: Int = documentBytesMax,
    expects: Set<Int> = [200]
  ) async throws(OffSiteError) -> Answer {
    var attempt = 1
    while true {
      do throws(OffSiteError) {
        let answer = try await sendOnce(method, key, query, fields: fields, body: body, bytesMax: bytesMax)
        if expects.contains(answer.status) { return answer }
        throw Self.failure(answer.status, answer.body)
      } catch {
        guard error.code == .unavailable, attempt < timing.attempts, !Task.isCancelled else { throw error }
        do { try await Task.sleep(for: timing.pause * min(1 << (attempt - 1), 100)) } catch { throw Self.cancelled }
        attempt += 1
      }
    }
  }

  private static let cancelled = OffSiteError(.unavailable, "the copy was broken off")

  private func sendOnce(
    _ method: HTTPMethod, _ key: String?, _ query: [(name: String, value: String)],
    fields: [(name: String, value: String)], body: [UInt8], bytesMax: Int
  ) async throws(OffSiteError) -> Answer {
    var path = "/\(target.bucket)"
    if let key { path += "/\(URIEncoding.encode(key, keepSlash: true))" }
    let items = query.map { "\(URIEncoding.encode($0.name))=\(URIEncoding.encode($0.value))" }
    if !items.isEmpty { path += "?\(items.joined(separator: "&"))" }
    let hash = SHA256.hash(body)
    var signed = [(name: "host", value: target.authority)] + fields
    do {
      signed += try signer.sign(
        method: method.rawValue, target: try RequestTarget(path), fields: signed, payloadHash: hash,
        now: Int64(Date().timeIntervalSince1970))
    } catch {
      throw OffSiteError(.invalid, "a request to the off-site storage cannot be signed: \(error)")
    }
    var request = HTTPClientRequest(url: "https://\(target.authority)\(path)")
    request.method = method
    for field in signed where field.name != "host" { request.headers.add(name: field.name, value: field.value) }
    if method == .PUT || method == .POST { request.body = .bytes(ByteBuffer(bytes: body)) }
    return try await exchange(request, bytesMax: bytesMax)
  }

  /// The client's own deadline ends with the answer's head; a server may fall silent in the middle of the body too.
  private func exchange(_ request: HTTPClientRequest, bytesMax: Int) async throws(OffSiteError) -> Answer {
    do {
      return try await withThrowingTaskGroup(of: Answer?.self) { [client, timing, request] group in
        group.addTask {
          let answer = try await client.execute(request, timeout: Self.amount(timing.request))
          let body = try await answer.body.collect(upTo: bytesMax)
          return Answer(
            status: Int(answer.status.code), headers: answer.headers, body: Array(body.readableBytesView))
        }
        group.addTask {
          try await Task.sleep(for: timing.request + .seconds(1))
          return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let answer = first else { throw HTTPClientError.deadlineExceeded }
        return answer
      }
    } catch is NIOTooManyBytesError {
      throw OffSiteError(.damaged, "the off-site storage answered with more than was asked for")
    } catch {
      let text = "\(error)"
      if text.contains("CERTIFICATE_VERIFY_FAILED") {
        throw OffSiteError(
          .denied, "\(target.authority) shows a certificate that is not trusted: name its authority (offsite.ca)")
      }
      throw OffSiteError(.unavailable, "\(target.authority) cannot be reached: \(text.prefix(200))")
    }
  }

  private static func failure(_ status: Int, _ body: [UInt8]) -> OffSiteError {
    let root = try? XMLElement(parsing: body)
    let (name, said) = (root?.first("Code") ?? "", root?.first("Message") ?? "")
    let reason = name.isEmpty ? "status \(status)" : "\(name.prefix(64))\(said.isEmpty ? "" : ", \(said.prefix(200))")"
    let code: OffSiteError.Code =
      switch (status, name) {
      case (_, "InternalError"), (_, "SlowDown"), (_, "RequestTimeout"), (_, "ServiceUnavailable"): .unavailable
      case (404, _): .notFound
      case (401, _), (403, _): .denied
      case (408, _), (429, _), (500..., _): .unavailable
      default: .invalid
      }
    return OffSiteError(code, "the off-site storage refuses: \(reason)")
  }

  private static func amount(_ duration: Duration) -> TimeAmount {
    let (seconds, attoseconds) = duration.components
    return .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}

// One watch: a request whose answer never ends, a JSON object a line.
//
// An endpoint that has lost its quorum keeps a watch open and says nothing; whoever needs fresh news compares with reads.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

struct EtcdWatch: Sendable {
  private static let lineBytesMax = 64 << 20
  let gateway: EtcdGateway
  let first: Data
  let end: Data
  let revision: ControlRevision
  let event: @Sendable (EtcdMessage.WatchLine.Event) throws(ControlStoreError) -> ControlEvent

  func stream() -> AsyncThrowingStream<[ControlEvent], any Error> {
    AsyncThrowingStream { continuation in
      let task = Task {
        do {
          try await run { continuation.yield($0) }
          continuation.finish(throwing: ControlStoreError(.unavailable, "etcd ended the watch"))
        } catch {
          let told = error as? ControlStoreError ?? EtcdGateway.failure(error, changes: false)
          continuation.finish(throwing: Task.isCancelled ? CancellationError() : told)
        }
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  private func run(_ yield: ([ControlEvent]) -> Void) async throws {
    let body = try EtcdGateway.encode(
      EtcdMessage.WatchRequest(create: .init(key: first, end: end, revision: .init(revision))))
    var last: any Error = ControlStoreError(.unavailable, "no endpoint of etcd answers")
    for endpoint in gateway.endpoints {
      let response: HTTPClientResponse
      do { response = try await open(endpoint, body) } catch {
        last = error
        continue
      }
      return try await read(response, yield)
    }
    throw last
  }

  /// Waits for the answer's head only: the rest comes as long as the watch lives.
  private func open(_ endpoint: String, _ body: Data) async throws -> HTTPClientResponse {
    var request = HTTPClientRequest(url: endpoint + "/v3/watch")
    request.method = .POST
    request.body = .bytes(ByteBuffer(data: body))
    return try await gateway.client.execute(request, deadline: .distantFuture)
  }

  private func read(_ response: HTTPClientResponse, _ yield: ([ControlEvent]) -> Void) async throws {
    guard response.status == .ok else {
      throw ControlStoreError(.unavailable, "etcd refuses the watch with status \(response.status.code)")
    }
    var line = Data()
    for try await part in response.body {
      for byte in part.readableBytesView {
        guard byte == UInt8(ascii: "\n") else {
          line.append(byte)
          continue
        }
        if !line.isEmpty { try take(line, yield) }
        line.removeAll(keepingCapacity: true)
      }
      guard line.count <= Self.lineBytesMax else { throw ControlStoreError(.io, "etcd sends a line without an end") }
    }
  }

  private func take(_ line: Data, _ yield: ([ControlEvent]) -> Void) throws {
    let message: EtcdMessage.WatchLine = try EtcdGateway.decode(line)
    if let error = message.error { throw EtcdGateway.refusal(error.text, changes: false) }
    guard let result = message.result else { return }
    if let compacted = result.compacted?.value, compacted > 0 {
      throw ControlStoreError(.compacted, "etcd has forgotten the revisions before \(compacted)")
    }
    if result.canceled ?? false {
      throw ControlStoreError(.unavailable, "etcd ended the watch: \(result.reason ?? "no reason given")")
    }
    let events = try (result.events ?? []).map { try event($0) }
    if !events.isEmpty { yield(events) }
  }
}

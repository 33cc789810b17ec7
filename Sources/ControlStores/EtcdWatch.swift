// One watch: a request whose answer never ends, a JSON object a line.
//
// An endpoint that has lost its quorum keeps a watch open and says nothing; whoever needs fresh news compares with
// reads.

import Foundation

struct EtcdWatch: Sendable {
  let gateway: EtcdGateway
  let first: Data
  let end: Data
  /// What every key of ours begins with that is watched.
  let prefix: String
  let revision: ControlRevision
  let event: @Sendable (EtcdMessage.WatchLine.Event) throws(ControlStoreError) -> ControlEvent

  /// The buffer takes no more: its reader has gone or was too slow, and knows.
  private struct Unread: Error {}

  func stream() -> AsyncThrowingStream<[ControlEvent], any Error> {
    WatchBuffer.stream(bytesMax: gateway.configuration.watchBytesMax) { buffer in
      let task = Task {
        do {
          try await run { events throws(Unread) in if !buffer.offer(events) { throw Unread() } }
          buffer.finish(ControlStoreError(.unavailable, "etcd ended the watch"))
        } catch {
          let told = error as? ControlStoreError ?? EtcdGateway.failure(error, changes: false)
          buffer.finish(Task.isCancelled ? CancellationError() : told)
        }
      }
      return { task.cancel() }
    }
  }

  private func run(_ yield: ([ControlEvent]) throws -> Void) async throws {
    let body = try EtcdGateway.encode(
      EtcdMessage.WatchRequest(create: .init(key: first, end: end, revision: .init(revision))))
    var last: any Error = ControlStoreError(.unavailable, "no endpoint of etcd answers")
    for endpoint in gateway.endpoints {
      var isOpen = false
      var order = EtcdWatchOrder(prefix: prefix, revision: revision)
      var line: [UInt8] = []
      do {
        return try await gateway.transport.follow(endpoint + "/v3/watch", body) { status in
          isOpen = true
          guard status == 200 else {
            throw ControlStoreError(.unavailable, "etcd refuses the watch with status \(status)")
          }
        } part: { part in
          try read(part, &line, &order, yield)
        }
      } catch {
        if isOpen { throw error }
        last = error
      }
    }
    throw last
  }

  private func read(
    _ part: [UInt8], _ line: inout [UInt8], _ order: inout EtcdWatchOrder, _ yield: ([ControlEvent]) throws -> Void
  ) throws {
    var rest = part[...]
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      line += rest[..<newline]
      rest = rest[(newline + 1)...]
      if !line.isEmpty { try take(line, &order, yield) }
      line.removeAll(keepingCapacity: line.count < 1 << 16)
    }
    line += rest
    guard line.count <= gateway.configuration.answerBytesMax else {
      throw ControlStoreError(.io, "etcd sends a line without an end")
    }
  }

  private func take(
    _ line: [UInt8], _ order: inout EtcdWatchOrder, _ yield: ([ControlEvent]) throws -> Void
  ) throws {
    let message: EtcdMessage.WatchLine = try EtcdGateway.decode(line)
    if let error = message.error { throw EtcdGateway.refusal(error.text, changes: false) }
    guard let result = message.result else { return }
    if let compacted = result.compacted?.value, compacted > 0 {
      throw ControlStoreError(.compacted, "etcd has forgotten the revisions before \(compacted)")
    }
    if result.canceled ?? false {
      throw ControlStoreError(.unavailable, "etcd ended the watch: \((result.reason ?? "no reason given").prefix(200))")
    }
    var events: [ControlEvent] = []
    for told in result.events ?? [] { events.append(try event(told)) }
    try order.check(events)
    if !events.isEmpty { try yield(events) }
  }
}

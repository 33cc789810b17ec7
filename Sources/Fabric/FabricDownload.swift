// The calling side of a bulk transfer: chunks in order, each byte once, over as many links as it takes.
//
// The first answer fixes size and validator; after a break the transfer is asked for again from the next byte, with that
// validator, and what has changed meanwhile ends it as `changed`. It gives up after a number of attempts that brought no
// byte. The validator says which version the bytes are of; whether they are the right ones is for a checksum to say.

import Base
import Formats
import OpenSSL
package import UVLoop

package struct FabricDownload: Sendable {
  private let endpoint: FabricEndpoint
  private let id: NodeID
  /// Where to ask; may be changed when the peer moves.
  package var address: SocketAddress
  private let method: UInt16
  private var request: FabricBulkRequest
  private let attemptsMax: Int
  private var channel: FabricChannel?
  private var rest: [UInt8] = []
  private var failures = 0
  private var backoff: FabricBackoff
  /// Of the whole, not of what is left; nil before the first answer.
  package private(set) var size: UInt64?
  /// How often it was asked for again after a break.
  package private(set) var resumptions = 0

  init(
    _ endpoint: FabricEndpoint, _ id: NodeID, _ address: SocketAddress, method: UInt16, _ request: FabricBulkRequest,
    attemptsMax: Int
  ) {
    (self.endpoint, self.id, self.address, self.method) = (endpoint, id, address, method)
    (self.request, self.attemptsMax) = (request, attemptsMax)
    backoff = FabricBackoff(least: endpoint.configuration.reconnectMin, greatest: endpoint.configuration.reconnectMax)
  }

  /// The next byte's place.
  package var offset: UInt64 { request.offset }
  /// Of what is being fetched; empty before the first answer unless it was given.
  package var validator: [UInt8] { request.validator }

  /// The next chunk; nil when all of it is here.
  package mutating func next() async throws(FabricError) -> [UInt8]? {
    while true {
      switch await step() {
      case .success(let bytes): return bytes
      case .failure(let error): try await recover(from: error)
      }
    }
  }

  private mutating func step() async -> Result<[UInt8]?, FabricError> {
    if channel == nil, size != request.offset {
      if case .failure(let error) = await open() { return .failure(error) }
    }
    if size == request.offset { return .success(nil) }
    guard let channel, let size else { return .failure(FabricError(.lost, "no transfer")) }
    var bytes = rest
    rest = []
    if bytes.isEmpty {
      switch await Self.receive(channel) {
      case .success(let received?): bytes = received
      case .success(nil): return .failure(FabricError(.lost, "the transfer ended early"))
      case .failure(let error): return .failure(error)
      }
    }
    guard UInt64(bytes.count) <= size - request.offset else {
      return .failure(FabricError(.tooLarge, "the peer sends more than it said"))
    }
    request.offset += UInt64(bytes.count)
    failures = 0
    backoff.reset()
    return .success(bytes)
  }

  /// Asks, and reads the head.
  private mutating func open() async -> Result<Void, FabricError> {
    switch await Self.ask(endpoint, id, address, method, request) {
    case .failure(let error): return .failure(error)
    case .success(let channel):
      var bytes: [UInt8] = []
      while true {
        switch await Self.receive(channel) {
        case .failure(let error): return .failure(error)
        case .success(nil): return .failure(FabricError(.lost, "the transfer ended early"))
        case .success(let piece?): bytes += piece
        }
        guard let whole = try? FabricBulkHead.take(bytes[...]) else {
          if bytes.count < 128 { continue }
          return .failure(FabricError(.refused, "the peer answers something else"))
        }
        rest = Array(bytes[whole.length...])
        return take(whole.head, channel)
      }
    }
  }

  private mutating func take(_ head: FabricBulkHead, _ channel: FabricChannel) -> Result<Void, FabricError> {
    let isSame = request.validator.isEmpty || request.validator == head.validator
    switch head.status {
    case .ok where isSame && (size == nil || size == head.size) && head.size >= request.offset: break
    case .absent: return .failure(FabricError(.absent, "the peer does not have it"))
    case .beyond: return .failure(FabricError(.changed, "it ends before the offset"))
    case .ok, .changed: return .failure(FabricError(.changed, "it has changed since the transfer began"))
    }
    size = head.size
    request.validator = head.validator
    self.channel = channel
    return .success(())
  }

  private mutating func recover(from error: FabricError) async throws(FabricError) {
    await channel?.cancel()
    channel = nil
    rest = []
    failures += 1
    let isPassing: Set<FabricError.Code> = [.lost, .unreachable, .cancelled, .deadline]
    guard isPassing.contains(error.code), failures < attemptsMax, !Task.isCancelled else { throw error }
    resumptions += 1
    var random = SystemRandom()
    try? await Task.sleep(for: backoff.next(using: &random))
  }

  private static func ask(
    _ endpoint: FabricEndpoint, _ id: NodeID, _ address: SocketAddress, _ method: UInt16, _ request: FabricBulkRequest
  ) async -> Result<FabricChannel, FabricError> {
    guard request.name.count <= FabricBulkRequest.nameBytesMax,
      request.validator.count <= FabricBulkRequest.validatorBytesMax
    else { return .failure(FabricError(.tooLarge, "name or validator too long")) }
    do throws(FabricError) {
      let channel = try await endpoint.open(
        id, at: address, method: method, priority: .bulk, window: nil, endsWhenDropped: true)
      try await channel.send(request.encode())
      await channel.finish()
      return .success(channel)
    } catch {
      return .failure(error)
    }
  }

  private static func receive(_ channel: FabricChannel) async -> Result<[UInt8]?, FabricError> {
    do throws(FabricError) { return .success(try await channel.receive()) } catch { return .failure(error) }
  }
}

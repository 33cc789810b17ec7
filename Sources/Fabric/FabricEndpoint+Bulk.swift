// Bulk transfers: a peer asks for a range of something named, and gets it as fast as its rate allows.

package import Base
import Formats
import OpenSSL
package import UVLoop

extension FabricEndpoint {
  static let bulkPieceBytes = 128 << 10

  /// Fetches what `name` means to the method, from `offset` on; see `FabricDownload`. With a `validator` the bytes before
  /// the offset are known to be of that version.
  package nonisolated func download(
    _ id: NodeID, at address: SocketAddress, method: UInt16, name: [UInt8], from offset: UInt64 = 0,
    validator: [UInt8] = [], attemptsMax: Int = 10
  ) -> FabricDownload {
    let request = FabricBulkRequest(name: name, offset: offset, validator: validator)
    return FabricDownload(self, id, address, method: method, request, attemptsMax: attemptsMax)
  }

  /// Bulk bytes to one peer a second from now on, transfers under way included; nil is without a limit.
  package func limitBulk(bytesPerSecond: Int?) {
    bulkBytesPerSecond = bytesPerSecond
    for ledger in ledgers.values { ledger.bulk = nil }
  }

  func serveBulk(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async {
    do {
      guard let request = try await request(channel) else { return await channel.cancel() }
      guard let source = await service.source(method, request.name, from: peer) else {
        try await channel.send(FabricBulkHead(.absent).encode())
        return await channel.finish()
      }
      let head = Self.head(request, source)
      try await channel.send(head.encode())
      var offset = head.status == .ok ? request.offset : source.size
      while offset < source.size {
        let count = Int(min(UInt64(Self.bulkPieceBytes), source.size - offset))
        try await pace(peer.id, count)
        let bytes = try await source.read(at: offset, count: count)
        guard !bytes.isEmpty, bytes.count <= count else { return await channel.cancel() }
        try await channel.send(bytes)
        offset += UInt64(bytes.count)
      }
      await channel.finish()
    } catch {
      // The channel broke, or the source did: the caller asks again from where it is.
      await channel.cancel()
    }
  }

  private func request(_ channel: FabricChannel) async throws(FabricError) -> FabricBulkRequest? {
    var bytes: [UInt8] = []
    while let piece = try await channel.receive() {
      bytes += piece
      if bytes.count > FabricBulkRequest.bytesMax { return nil }
    }
    return try? FabricBulkRequest(decoding: bytes[...])
  }

  private static func head(_ request: FabricBulkRequest, _ source: any FabricSource) -> FabricBulkHead {
    let isSame = request.validator.isEmpty || request.validator == source.validator
    let status: FabricBulkHead.Status = !isSame ? .changed : request.offset > source.size ? .beyond : .ok
    return FabricBulkHead(status, size: source.size, validator: source.validator)
  }

  /// Waits for the peer's turn. Never for long at once, so that another rate takes effect soon.
  private func pace(_ peer: NodeID, _ count: Int) async throws {
    while let rate = bulkBytesPerSecond, let ledger = ledgers[peer] {
      let now = FabricLink.now()
      if ledger.bulk == nil { ledger.bulk = TokenBucket(rate: rate, burst: max(rate / 20, 1), at: now) }
      let wait = ledger.bulk!.borrow(count, at: now)
      if wait == 0 { return }
      try await Task.sleep(for: .nanoseconds(min(wait, 100_000_000)))
    }
  }
}

// One half of a forwarding channel as it is read: heads first, then plain bytes.

import Base
import Fabric
import Formats
import Threads

/// One task reads at a time.
final class ForwardingBytes: Sendable {
  let channel: FabricChannel
  /// Arrived together with a head, and not taken yet.
  private let rest = Lock<[UInt8]>([])

  init(_ channel: FabricChannel) { self.channel = channel }

  /// The next head; `parse` says whether it is whole. What is no head, and an end before one, is an error.
  func head<T: Sendable>(
    _ parse: (ArraySlice<UInt8>) throws(FormatError) -> (head: T, length: Int)?
  ) async throws(FabricError) -> T {
    while true {
      let bytes = rest.with { $0 }
      let found: (head: T, length: Int)?
      do throws(FormatError) { found = try parse(bytes[...]) } catch {
        await channel.cancel()
        throw FabricError(.refused, "the head of a forwarded request cannot be read: \(error)", reason: "format")
      }
      if let (head, length) = found {
        rest.with { $0 = Array(bytes[length...]) }
        return head
      }
      guard let more = try await channel.receive() else {
        throw FabricError(.cancelled, "the other side ended before its head was whole")
      }
      rest.with { $0 += more }
    }
  }

  /// The next bytes of the body; nil at its end. Throws when the body broke.
  func body() async throws(FabricError) -> [UInt8]? {
    let waiting = rest.with { rest in
      defer { rest = [] }
      return rest
    }
    return waiting.isEmpty ? try await channel.receive() : waiting
  }
}

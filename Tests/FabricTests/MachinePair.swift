// Two machines joined by a wire of memory, each with as much room as the test says.

import Fabric
import Formats

struct MachinePair {
  var client: FabricMachine
  var server: FabricMachine
  var toServer: [UInt8] = []
  var toClient: [UInt8] = []
  var clientSaw: [FabricEffect] = []
  var serverSaw: [FabricEffect] = []
  var now: FabricInstant = 1_000_000_000
  /// Bytes that each transport takes between two deliveries.
  var room = 64 << 10

  init(_ limits: FabricLimits = FabricLimits(), server other: FabricLimits? = nil) {
    client = FabricMachine(.connecting, limits: limits)
    server = FabricMachine(.accepting, limits: other ?? limits)
  }

  static func ready(_ limits: FabricLimits = FabricLimits()) -> MachinePair {
    var pair = MachinePair(limits)
    pair.client(.started)
    pair.server(.started)
    pair.settle()
    pair.clientSaw = []
    pair.serverSaw = []
    return pair
  }

  mutating func client(_ event: FabricEvent) { split(client.handle(event, at: now), &clientSaw, &toServer) }
  mutating func server(_ event: FabricEvent) { split(server.handle(event, at: now), &serverSaw, &toClient) }

  private func split(_ effects: [FabricEffect], _ saw: inout [FabricEffect], _ wire: inout [UInt8]) {
    for effect in effects {
      if case .transmit(let bytes) = effect { wire += bytes } else { saw.append(effect) }
    }
  }

  /// One delivery in each direction; the applications consume what they get when `consuming`.
  mutating func exchange(consuming: Bool = true) {
    let (a, b) = (toServer, toClient)
    (toServer, toClient) = ([], [])
    let (clientFrom, serverFrom) = (clientSaw.count, serverSaw.count)
    if !a.isEmpty { server(.received(a)) }
    if !b.isEmpty { client(.received(b)) }
    if consuming {
      for effect in serverSaw[serverFrom...] {
        if case .data(let id, let d, _) = effect { server(.consumed(id, d.count)) }
      }
      for effect in clientSaw[clientFrom...] {
        if case .data(let id, let d, _) = effect { client(.consumed(id, d.count)) }
      }
    }
    client(.room(room))
    server(.room(room))
  }

  mutating func settle(consuming: Bool = true) {
    repeat { exchange(consuming: consuming) } while !toServer.isEmpty || !toClient.isEmpty
  }
}

extension [FabricEffect] {
  func count(_ id: StreamID) -> Int {
    reduce(0) { sum, effect in
      if case .data(id, let bytes, _) = effect { return sum + bytes.count }
      return sum
    }
  }
  func hasEnd(_ id: StreamID) -> Bool { contains { if case .data(id, _, true) = $0 { true } else { false } } }
}

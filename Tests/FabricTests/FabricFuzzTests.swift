// Hostile bytes: frames and machines never trap, never grow, and close by a name.

import Base
import Fabric
import Formats
import Testing

struct FabricFuzzTests {
  static let frames: [FabricFrame] = [
    .hello(least: 1, greatest: 2, window: 1 << 18),
    .open(stream: 1, FabricOpening(method: 3, priority: .bulk, deadlineMilliseconds: 9), data: [1, 2], ends: true),
    .data(stream: 1, [UInt8](repeating: 7, count: 300), ends: false), .data(stream: 3, [], ends: true),
    .credit(stream: 2, bytes: 70_000), .reset(stream: 1, reason: 4), .ping(.max), .pong(0), .goodbye(reason: 1),
  ]

  @Test("every frame reads back as itself and in no shorter form")
  func roundTrip() throws {
    for frame in Self.frames {
      let bytes = frame.encode()
      #expect(try FabricFrame(decoding: bytes[...]) == frame)
      #expect(try FabricFrame.length(bytes[...]) == bytes.count)
      for count in 0..<bytes.count {
        #expect(throws: BytesError.self) { try FabricFrame(decoding: bytes.prefix(count)) }
      }
      #expect(throws: BytesError.self) { try FabricFrame(decoding: (bytes + [0])[...]) }
    }
    let long: [UInt8] = [0x01, 0x40, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]
    #expect(throws: BytesError.self) { try FabricFrame.length(long[...]) }
  }

  @Test("a mutated frame is refused or is a frame that encodes to the same bytes")
  func mutated() {
    var random = SeededGenerator(seed: 21)
    for _ in 0..<60_000 {
      var bytes = Self.frames[random.below(Self.frames.count)].encode()
      for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      if random.oneIn(4) { bytes.removeLast(random.below(bytes.count)) }
      guard let frame = try? FabricFrame(decoding: bytes[...]) else { continue }
      #expect(frame.encode() == bytes)
    }
  }

  @Test("a machine fed with spoilt conversations closes by a name and holds less than a frame")
  func conversations() {
    var random = SeededGenerator(seed: 22)
    var closures = Set<FabricClosure>()
    for round in 0..<3000 {
      var machine = FabricMachine(.accepting)
      var effects = machine.handle(.started, at: 0)
      var bytes = FabricFrame.hello(least: 1, greatest: 1, window: 1 << 16).encode()
      for _ in 0..<8 { bytes += Self.frames[1 + random.below(Self.frames.count - 2)].encode() }
      for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      while !bytes.isEmpty {
        let piece = Array(bytes.prefix(1 + random.below(200)))
        bytes.removeFirst(piece.count)
        effects += machine.handle(.received(piece), at: 1)
        effects += machine.handle(.room(random.below(4096)), at: 1)
      }
      effects += machine.handle(.transportEnded, at: 2)
      let ends = effects.compactMap { if case .closed(let reason) = $0 { reason } else { nil } }
      #expect(ends.count == 1, "round \(round)")
      #expect(machine.streamCount == 0 && machine.waitingBytes == 0)
      closures.formUnion(ends)
    }
    #expect(closures.isSuperset(of: [.malformed, .disorder, .transport]))
  }
}

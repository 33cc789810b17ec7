// The cluster file, its contents and the ring of datagram keys: round trips, limits, and damage of every kind.

import Base
import Formats
import Testing

@Suite("cluster file")
struct ClusterFileTests {
  private func contents(_ random: inout SeededGenerator, count: Int = ClusterField.allCases.count) -> ClusterContents {
    var contents = ClusterContents()
    for field in ClusterField.allCases.prefix(count) { contents.fields[field] = bytes(random.below(200), &random) }
    return contents
  }

  private func bytes(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  private func ring(_ random: inout SeededGenerator, keys count: Int = 3) -> DatagramRingContents {
    let keys = Dictionary(uniqueKeysWithValues: (1...count).map { (UInt32($0), bytes(32, &random)) })
    return DatagramRingContents(generation: random.next(), primary: UInt32(count), since: -7, keys: keys)
  }

  private func refusal<T>(_ body: () throws(FormatError) -> T) -> FormatError? {
    do throws(FormatError) {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  @Test("what is written is read back the same, with any of the fields")
  func roundTrips() throws {
    var random = SeededGenerator(seed: 1)
    for count in 0...ClusterField.allCases.count {
      let contents = contents(&random, count: count)
      #expect(try ClusterContents(contents.encode()) == contents)
      let file = ClusterFile(wrapped: bytes(count * 20, &random), nonce: bytes(12, &random), sealed: contents.encode())
      #expect(try ClusterFile(file.encode()) == file)
    }
    for count in 1...DatagramRingContents.keysMax {
      let ring = ring(&random, keys: count)
      #expect(try DatagramRingContents(ring.encode()) == ring)
    }
  }

  @Test("the layout is the one that is written down")
  func layout() {
    let file = ClusterFile(wrapped: [1, 2], nonce: [UInt8](repeating: 3, count: 12), sealed: [4])
    let bytes = file.encode()
    #expect(Array(bytes[..<10]) == Array("KCLU".utf8) + [1, 0, 2, 0, 1, 2])
    #expect(Array(bytes[10..<22]) == [UInt8](repeating: 3, count: 12))
    #expect(bytes[bytes.count - 5] == 4)
    #expect(ClusterFile.associated == Array("KCLU".utf8) + [1, 0])
    let contents = ClusterContents([.controlManaged: [1]])
    #expect(Array(contents.encode().prefix(4)) == [1, 0, 14, 0] && contents.encode().last == 1)
    let numbers = ClusterField.allCases.map(\.rawValue)
    #expect(numbers == Array(1...24), "numbers are stored for ever")
  }

  @Test("every flipped bit and every cut of a file is noticed")
  func damage() {
    var random = SeededGenerator(seed: 2)
    let good = ClusterFile(wrapped: bytes(60, &random), nonce: bytes(12, &random), sealed: bytes(90, &random)).encode()
    for index in good.indices {
      for bit in 0..<8 {
        var bad = good
        bad[index] ^= 1 << UInt8(bit)
        #expect(refusal { () throws(FormatError) in try ClusterFile(bad) } != nil, "bit \(bit) of byte \(index)")
      }
      #expect(refusal { () throws(FormatError) in try ClusterFile(Array(good[..<index])) } != nil, "\(index) bytes")
    }
    #expect(refusal { () throws(FormatError) in try ClusterFile(good + [0]) } != nil)
  }

  @Test("other files, newer files and files that are too long are told apart")
  func codes() {
    var newer = ClusterFile(wrapped: [], nonce: [UInt8](repeating: 0, count: 12), sealed: []).encode()
    newer[4] = 2
    #expect(refusal { () throws(FormatError) in try ClusterFile(newer) }?.code == .version)
    for foreign in [[], Array("KCLU".utf8), Array("SQLite format 3\0".utf8)] {
      #expect(refusal { () throws(FormatError) in try ClusterFile(foreign) }?.code == .foreign)
    }
    let long = Array("KCLU".utf8) + [UInt8](repeating: 0, count: ClusterFile.byteCountMax)
    #expect(refusal { () throws(FormatError) in try ClusterFile(long) }?.code == .limit)
  }

  @Test("contents hold to their limits: known fields, each once, none too long, nothing behind them")
  func contentLimits() throws {
    let longest = ClusterContents([.authority: [UInt8](repeating: 65, count: ClusterContents.fieldBytesMax)])
    #expect(try ClusterContents(longest.encode()) == longest)
    func refused(_ count: UInt16, _ fields: [(UInt16, [UInt8])], behind: [UInt8] = []) -> String? {
      var writer = ByteWriter()
      writer.put(count)
      for (number, bytes) in fields {
        writer.put(number)
        writer.put(string: bytes)
      }
      writer.put(raw: behind)
      let all = writer.bytes
      return refusal { () throws(FormatError) in try ClusterContents(all) }?.message
    }
    #expect(refused(1, [(25, [])])?.contains("field 25 is not known") == true)
    #expect(refused(1, [(0, [])]) != nil)
    #expect(refused(2, [(1, [1]), (1, [1])])?.contains("twice") == true)
    #expect(refused(1, [(1, [UInt8](repeating: 0, count: ClusterContents.fieldBytesMax + 1))]) != nil)
    #expect(refused(1, [(1, [])], behind: [0]) != nil)
    #expect(refused(2, [(1, [])]) != nil && refused(65_535, []) != nil)
    #expect(refused(0, []) == nil)
  }

  @Test("a ring holds to its limits: the primary key in it, no key twice, not too many")
  func ringLimits() {
    var random = SeededGenerator(seed: 3)
    func refused(_ change: (inout DatagramRingContents) -> Void) -> FormatError? {
      var ring = ring(&random, keys: 2)
      change(&ring)
      let bytes = ring.encode()
      return refusal { () throws(FormatError) in try DatagramRingContents(bytes) }
    }
    #expect(refused { _ in } == nil)
    #expect(refused { $0.primary = 9 }?.message.contains("primary") == true)
    #expect(refused { $0.keys = [:] } != nil)
    #expect(refused { ring in for id in 3...9 { ring.keys[UInt32(id)] = [UInt8](repeating: 0, count: 32) } } != nil)
    var twice = ring(&random, keys: 2).encode()
    twice.replaceSubrange(58..<62, with: twice[22..<26])
    #expect(refusal { () throws(FormatError) in try DatagramRingContents(twice) }?.message.contains("twice") == true)
  }

  @Test("mutated bytes are read or refused, and what is read is written the same again")
  func mutations() {
    var random = SeededGenerator(seed: 4)
    var mutations = Mutations(seed: 5)
    let file = ClusterFile(wrapped: bytes(60, &random), nonce: bytes(12, &random), sealed: bytes(300, &random)).encode()
    let contents = contents(&random).encode()
    let ring = ring(&random).encode()
    var read = 0
    for _ in 0..<20_000 {
      let bad = [mutations.mutated(file), mutations.mutated(contents), mutations.mutated(ring)]
      if let file = try? ClusterFile(bad[0]) { #expect(file.encode() == bad[0]) }
      // Fields may stand in another order than they are written in.
      if let contents = try? ClusterContents(bad[1]) {
        read += 1
        #expect(try! ClusterContents(contents.encode()) == contents)
      }
      if let ring = try? DatagramRingContents(bad[2]) {
        read += 1
        #expect(ring.keys[ring.primary] != nil && ring.keys.count <= DatagramRingContents.keysMax)
        #expect(try! DatagramRingContents(ring.encode()) == ring)
      }
    }
    #expect(read > 100, "a fuzz that never gets in tests only the door")
  }
}

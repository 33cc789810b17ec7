// What a forgetful disk knows of one file: what readers see, what is durable, and the changes in between.
//
// A sector is the unit that survives whole. Of the sectors that unsynced writes touched, each comes up as it was before
// or after any of those writes; the length comes up as it was before or after any of the changes.

internal import Base

struct ForgetfulFileState {
  enum Change {
    case write(offset: Int, bytes: [UInt8])
    case zeros(offset: Int, count: Int)
    case truncate(Int)

    var range: Range<Int>? {
      switch self {
      case .write(let offset, let bytes): offset..<(offset + bytes.count)
      case .zeros(let offset, let count): offset..<(offset + count)
      case .truncate: nil
      }
    }
  }

  private(set) var current = SparseImage()
  private var durable = SparseImage()
  private var unsynced: [Change] = []
  // After a failed sync the two images differ in places that no later sync covers.
  private var dropped = false
  var handles = 0

  mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    if bytes.isEmpty { return }
    if SparseImage.isZero(bytes) {
      unsynced.append(.zeros(offset: offset, count: bytes.count))
    } else {
      // Not [UInt8](bytes): in debug builds that copies byte by byte.
      let copy = [UInt8](unsafeUninitializedCapacity: bytes.count) { target, count in
        UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
        count = bytes.count
      }
      unsynced.append(.write(offset: offset, bytes: copy))
    }
    current.write(bytes, at: offset)
  }

  mutating func truncate(to bytes: Int) {
    unsynced.append(.truncate(bytes))
    current.setLength(bytes)
  }

  mutating func flip(bit: Int, at offset: Int) {
    current.flip(bit: bit, at: offset)
    if offset < durable.length { durable.flip(bit: bit, at: offset) }
  }

  mutating func sync() {
    for change in unsynced {
      if let range = change.range {
        // Up to the block when nothing was dropped: then whole blocks are shared, not copied.
        durable.copySectors(dropped ? range : Self.blocks(of: range), from: current)
        durable.setLength(max(durable.length, range.upperBound))
      } else if case .truncate(let bytes) = change {
        durable.setLength(bytes)
      }
    }
    if !dropped { durable.setLength(current.length) }
    unsynced.removeAll(keepingCapacity: true)
  }

  /// As Linux does: what was to be synced counts as clean from now on, whether or not it reached the disk. Readers see
  /// it until the machine goes down.
  mutating func failSync(using generator: inout SeededGenerator, _ counts: inout FaultCounts) {
    if unsynced.isEmpty { return }
    counts.droppedChanges += unsynced.count
    var ignored = FaultCounts()
    durable = survivor(flips: 0, using: &generator, &ignored)
    unsynced.removeAll(keepingCapacity: true)
    dropped = true
  }

  /// The file as the machine finds it when it comes up again.
  func afterCrash(
    flips: Int, using generator: inout SeededGenerator, _ counts: inout FaultCounts
  ) -> ForgetfulFileState {
    var file = ForgetfulFileState()
    file.durable = survivor(flips: flips, using: &generator, &counts)
    file.current = file.durable
    return file
  }

  private func survivor(
    flips: Int, using generator: inout SeededGenerator, _ counts: inout FaultCounts
  ) -> SparseImage {
    guard !unsynced.isEmpty else { return durable }
    let plan = SurvivalPlan(changes: unsynced.count, using: &generator)
    var running = durable
    var survivor = durable
    var lengths = [durable.length]
    var lostBefore = false
    for (i, change) in unsynced.enumerated() {
      switch change {
      case .write(let offset, let bytes): running.write(bytes, at: offset)
      case .zeros(let offset, let count): running.write(zeros: count, at: offset)
      case .truncate(let bytes):
        running.setLength(bytes)
        if i < plan.lengthChanges { survivor.setLength(bytes) }
      }
      lengths.append(running.length)
      guard let range = change.range else { continue }
      let sectors = SurvivalPlan.sectors(of: range)
      let kept = plan.kept(change: i, sectors: sectors, using: &generator)
      for part in kept { survivor.copySectors(part, from: running) }
      counts.note(kept: kept, of: sectors, afterLost: lostBefore)
      if kept.isEmpty { lostBefore = true }
    }
    survivor.setLength(lengths[plan.lengthChanges])
    if lengths[plan.lengthChanges] != running.length { counts.forgottenLengths += 1 }
    for _ in 0..<flips { flipUnsynced(&survivor, using: &generator, &counts) }
    return survivor
  }

  private func flipUnsynced(
    _ image: inout SparseImage, using generator: inout SeededGenerator, _ counts: inout FaultCounts
  ) {
    let ranges = unsynced.compactMap(\.range).filter { $0.lowerBound < image.length }
    guard !ranges.isEmpty else { return }
    let range = ranges[generator.below(ranges.count)]
    let end = min(range.upperBound, image.length)
    image.flip(bit: generator.below(8), at: range.lowerBound + generator.below(end - range.lowerBound))
    counts.flips += 1
  }

  private static func blocks(of range: Range<Int>) -> Range<Int> {
    let block = SparseImage.block
    return range.lowerBound / block * block..<(range.upperBound + block - 1) / block * block
  }
}

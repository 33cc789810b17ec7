// Finds the mapping of a channel of 16-bit samples, and puts ranks in the place of samples.
//
// The first 257th different value ends the search; in wideband audio that is some thousand samples into the chunk, so it
// costs nothing where it finds nothing.

import Formats

extension ChannelMapping {
  /// The values whose ranks are coded, ascending; nil when the samples themselves are.
  var values: [Int16]? {
    switch self {
    case .plain: nil
    case .muLaw: G711.muLawValues
    case .aLaw: G711.aLawValues
    case .table(let values): values
    }
  }

  /// The rank that is coded as 0: the middle of the table.
  var zeroRank: Int { (values?.count ?? 0) / 2 }
}

extension AudioPlanes {
  /// The mapping that a channel of plain 16-bit samples allows. A table of its own is only proposed: it may cost more
  /// than it saves.
  func mapping(_ channel: Int) -> ChannelMapping {
    guard let values = distinctValues(channel) else { return .plain }
    let laws = values.reduce(G711.bothLaws) { $0 & G711.laws[Int(UInt16(bitPattern: $1))] }
    if laws & G711.inMuLaw != 0 { return .muLaw }
    if laws != 0 { return .aLaw }
    return isSparse(values) && sampleFrames >= 8 * values.count ? .table(values.sorted()) : .plain
  }

  /// Ranks are denser than the samples: wasted low bits, which every coder drops, do not count.
  private func isSparse(_ values: [Int16]) -> Bool {
    let wasted = Int(values.reduce(0) { $0 | $1 }).trailingZeroBitCount
    guard let low = values.min(), let high = values.max(), wasted < 16 else { return false }
    return ((Int(high) - Int(low)) >> wasted) + 1 > values.count + values.count / 4
  }

  private func distinctValues(_ channel: Int) -> [Int16]? {
    let (plane, marks) = (self[channel], marks)
    marks.update(repeating: 0)
    var values: [Int16] = []
    values.reserveCapacity(AudioChunkHeader.tableValuesMax)
    for i in 0..<sampleFrames {
      let value = Int16(truncatingIfNeeded: plane[i])
      let at = Int(UInt16(bitPattern: value))
      guard marks[at] == 0 else { continue }
      if values.count == AudioChunkHeader.tableValuesMax { return nil }
      marks[at] = 1
      values.append(value)
    }
    return values
  }

  /// Puts the ranks of a mapping in the place of a channel's samples, all of which are among its values.
  func apply(_ mapping: ChannelMapping, _ channel: Int) {
    guard let values = mapping.values else { return }
    let (plane, marks, zero) = (self[channel], marks, Int32(mapping.zeroRank))
    for (rank, value) in values.enumerated() { marks[Int(UInt16(bitPattern: value))] = UInt8(rank) }
    for i in 0..<sampleFrames { plane[i] = Int32(marks[Int(UInt16(truncatingIfNeeded: plane[i]))]) &- zero }
  }
}

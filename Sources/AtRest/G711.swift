// The two companding laws of ITU-T G.711 as tables: what a code's sample is, and the codes in the order of amplitude.
//
// Ranks in that order are what both kinds of G.711 audio are coded by: bytes of the codes themselves, and 16-bit samples
// that a decoder made of them. Mu-law has two codes for zero; as a sample they are one value, so there are 255.

import Formats

enum G711 {
  /// The sample of each code.
  static let muLaw: [Int16] = (0..<256).map { code in
    let bits = ~code & 255
    let magnitude = ((bits & 15) << 3 + 132) << (bits >> 4 & 7) - 132
    return Int16(bits & 128 == 0 ? magnitude : -magnitude)
  }

  static let aLaw: [Int16] = (0..<256).map { code in
    let bits = code ^ 0x55
    let (segment, step) = (bits >> 4 & 7, bits & 15)
    let magnitude = segment == 0 ? step << 4 + 8 : (step << 4 + 264) << (segment - 1)
    return Int16(bits & 128 == 0 ? -magnitude : magnitude)
  }

  /// The samples in ascending order, each once.
  static let muLawValues = Set(muLaw).sorted()
  static let aLawValues = Set(aLaw).sorted()

  /// Codes in ascending order of their samples; of mu-law's zeros the negative one, 127, is first.
  static let muLawCodes = codes(muLaw)
  static let aLawCodes = codes(aLaw)

  /// The rank of each code in that order.
  static let muLawRanks = ranks(muLawCodes)
  static let aLawRanks = ranks(aLawCodes)

  static let inMuLaw: UInt8 = 1
  static let inALaw: UInt8 = 2
  static let bothLaws = inMuLaw | inALaw
  /// For each 16-bit value, as unsigned: whose values it is among.
  static let laws: [UInt8] = {
    var laws = [UInt8](repeating: 0, count: 1 << 16)
    for value in muLaw { laws[Int(UInt16(bitPattern: value))] |= inMuLaw }
    for value in aLaw { laws[Int(UInt16(bitPattern: value))] |= inALaw }
    return laws
  }()

  private static func ranks(_ codes: [UInt8]) -> [UInt8] {
    var ranks = [UInt8](repeating: 0, count: 256)
    for (rank, code) in codes.enumerated() { ranks[Int(code)] = UInt8(rank) }
    return ranks
  }

  private static func codes(_ samples: [Int16]) -> [UInt8] {
    (0..<256).sorted { (samples[$0], $0) < (samples[$1], $1) }.map { UInt8($0) }
  }
}

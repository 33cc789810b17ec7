// The laws of G.711, written from the recommendation's tables of decision values and not from the code under test.

struct Law {
  static let mu = Law { code in
    // Codes are inverted; segments 0 to 7 start at 0, 132, 396 … less the bias of 132.
    let (segment, step) = ((255 - code) / 16 % 8, (255 - code) % 16)
    let magnitude = (33 + 2 * step) * (1 << (segment + 2)) - 132
    return code < 128 ? -magnitude : magnitude
  }

  static let a = Law { code in
    // Every second bit is inverted; the middle of each interval is its value.
    let bits = code ^ 0x55
    let (segment, step) = (bits / 16 % 8, bits % 16)
    let magnitude = segment == 0 ? 16 * step + 8 : (16 * step + 264) * (1 << (segment - 1))
    return bits < 128 ? -magnitude : magnitude
  }

  let samples: [Int]
  private let codes: [UInt8]

  private init(_ sample: (Int) -> Int) {
    let samples = (0..<256).map(sample)
    self.samples = samples
    let ascending = (0..<256).sorted { samples[$0] < samples[$1] }
    var at = 0
    codes = (-32768...32767).map { value in
      while at < 255, abs(samples[ascending[at + 1]] - value) <= abs(samples[ascending[at]] - value) { at += 1 }
      return UInt8(ascending[at])
    }
  }

  func code(_ sample: Int) -> Int { Int(codes[sample + 32768]) }
  func nearest(_ sample: Int) -> Int { samples[code(sample)] }
}

import Base
import Testing

@Suite struct RFC3339Tests {
  @Test("moments are written and read to the microsecond")
  func known() {
    let known: [(UnixMicroseconds, String)] = [
      (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (-1, "1969-12-31T23:59:59.999999Z"),
      (1_709_210_096_123_000, "2024-02-29T12:34:56.123000Z"), (951_782_400_000_000, "2000-02-29T00:00:00Z"),
      (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ]
    for (moment, text) in known {
      #expect(RFC3339.text(moment) == text)
      #expect(RFC3339.moment(text) == moment)
    }
  }

  @Test("offsets, fractions of any length and small letters are read")
  func forms() {
    let noon = RFC3339.moment("2026-01-31T12:00:00Z")!
    for text in [
      "2026-01-31T14:00:00+02:00", "2026-01-31 12:00:00Z", "2026-01-31t06:30:00-05:30", "2026-01-31T12:00:00.0z",
    ] {
      #expect(RFC3339.moment(text) == noon, "\(text)")
    }
    #expect(RFC3339.moment("2026-01-31T12:00:00.25Z") == noon + 250_000)
    #expect(RFC3339.moment("2026-01-31T12:00:00.1234567891Z") == noon + 123_456)
    #expect(RFC3339.moment("2016-12-31T23:59:60Z") == RFC3339.moment("2017-01-01T00:00:00Z"))
  }

  @Test("what is no moment is none")
  func refused() {
    for text in [
      "", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
      "2026-01-32T00:00:00Z",
      "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:61Z", "2026-01-31T12:00:00.Z",
      "2026-01-31T12:00:00+25:00", "2026-01-31T12:00:00ZZ", "0000-01-01T00:00:00Z", "-026-01-31T12:00:00Z",
    ] { #expect(RFC3339.moment(text) == nil, "\(text)") }
  }

  @Test("every moment reads back, whenever it is")
  func roundTrip() {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<5000 {
      let moment = Int64.random(in: -62_000_000_000_000_000...253_000_000_000_000_000, using: &random)
      #expect(RFC3339.moment(RFC3339.text(moment)) == moment)
    }
  }
}

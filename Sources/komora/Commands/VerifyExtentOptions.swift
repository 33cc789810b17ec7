// How much a verification reads: shared by `komora snapshot verify` and `komora verify`.

import ArgumentParser
import Backup

struct VerifyExtentOptions: ParsableArguments {
  @Option(help: "Read this percentage of the chunks, chosen by chance; the next run takes others.")
  var sample: Double?

  @Option(help: "Stop after this time or amount: 300s, 20m, 8h, 500MiB, 10GiB.")
  var budget: String?

  @Flag(help: "Make every moment that the archive promises, in memory, as a restore would.")
  var moments = false

  @Flag(help: "Decode every chunk, also those whose proof says that these very bytes were decoded before.")
  var decode = false

  func check() throws {
    if let sample, !(sample > 0 && sample <= 100) {
      throw ValidationError("--sample is a percentage above 0 and at most 100.")
    }
    if let budget, Self.amount(budget) == nil {
      throw ValidationError("--budget is a time such as 300s, 20m or 8h, or an amount such as 500MiB or 10GiB.")
    }
  }

  enum Amount: Equatable {
    case seconds(Double)
    case bytes(UInt64)
  }

  static func amount(_ text: String) -> Amount? {
    let units: [(String, Amount)] = [
      ("KiB", .bytes(1 << 10)), ("MiB", .bytes(1 << 20)), ("GiB", .bytes(1 << 30)), ("TiB", .bytes(1 << 40)),
      ("s", .seconds(1)), ("m", .seconds(60)), ("h", .seconds(3600)),
    ]
    for (suffix, unit) in units where text.hasSuffix(suffix) {
      guard let number = Double(text.dropLast(suffix.count)), number > 0, number < 1e9 else { return nil }
      switch unit {
      case .seconds(let one): return .seconds(number * one)
      case .bytes(let one): return .bytes(UInt64(number * Double(one)))
      }
    }
    guard let seconds = Double(text), seconds > 0, seconds < 1e9 else { return nil }
    return .seconds(seconds)
  }

  /// As the API takes them.
  var members: [String: JSONValue] {
    get throws {
      var body: [String: JSONValue] = [:]
      if let sample { body["sample"] = .number(sample / 100) }
      switch budget.flatMap(Self.amount) {
      case .seconds(let seconds)?: body["budget_seconds"] = .number(seconds)
      case .bytes(let bytes)?: body["budget_bytes"] = .integer(Int64(clamping: bytes))
      case nil: break
      }
      if moments { body["moments"] = .boolean(true) }
      if decode { body["decode"] = .boolean(true) }
      return body
    }
  }

  /// Nil when everything is read and nothing else is wanted.
  var order: VerifyOrder? {
    var order = VerifyOrder()
    order.which = .all
    order.sample = (sample ?? 100) / 100
    switch budget.flatMap(Self.amount) {
    case .seconds(let seconds)?: order.seconds = seconds
    case .bytes(let bytes)?: order.bytes = bytes
    case nil: break
    }
    order.moments = moments
    order.decodes = decode
    return order.isPart || moments ? order : nil
  }
}

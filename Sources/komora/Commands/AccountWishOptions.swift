// What an account is to be like, as `komora account create` and `komora account set` take it: one spelling, one meaning.

import ArgumentParser

struct AccountWishOptions: ParsableArguments {
  @Option(help: "The region that serves it; of a new account, if not given: the node's.")
  var home: String?

  @Option(help: "What an acknowledged write must survive the loss of: none, node or region.")
  var survive: String?

  @Option(help: "Regions that may hold its data, with commas between; an empty text allows all.")
  var residency: String?

  @Option(help: "Its time zone, such as Europe/Kyiv: nightly snapshots follow it.")
  var timezone: String?

  /// Those that were given, as the API names them.
  var body: [String: JSONValue] {
    var body: [String: JSONValue] = [:]
    if let home { body["home"] = .text(home) }
    if let survive { body["survive"] = .text(survive) }
    if let timezone { body["timezone"] = .text(timezone) }
    if let residency { body["residency"] = .list(residency.split(separator: ",").map { .text(String($0)) }) }
    return body
  }
}

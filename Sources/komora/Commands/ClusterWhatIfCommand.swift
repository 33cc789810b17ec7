// `komora cluster what-if --lose NODE --lose region=R`: two answers, whether the data survive and whether writes go on.

import ArgumentParser

struct ClusterWhatIfCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "what-if", abstract: "Say what the loss of nodes or regions would mean right now.",
    discussion: "Ends with 0 when all data would survive, with 1 when some would not.")

  @Option(name: .long, parsing: .singleValue, help: "A node's name, or region=NAME; may be given several times.")
  var lose: [String] = []

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard !lose.isEmpty else { throw ValidationError("Say what is lost: --lose NODE or --lose region=NAME.") }
  }

  func run() async throws {
    let regions = lose.filter { $0.hasPrefix("region=") }.map { String($0.dropFirst(7)) }
    let nodes = lose.filter { !$0.hasPrefix("region=") }
    let body: JSONValue = .object([
      "nodes": .list(nodes.map { .text($0) }), "regions": .list(regions.map { .text($0) }),
    ])
    let answer = try await APIClient.with(connection) { try await $0.post("/v1/cluster/what-if", body) }
    if connection.json { Terminal.line(answer.encoded(pretty: true)) } else { show(answer) }
    guard answer["data_survives"]?.boolean == true else {
      throw CommandFailure(.failed, "data would be lost: restore from the archive would be needed")
    }
  }

  private func show(_ answer: JSONValue) {
    func names(_ member: String) -> String { answer[member]?.shown ?? "-" }
    let count = answer["accounts"]?.shown ?? "0"
    Terminal.line("lost            \(names("lost_nodes"))")
    if answer["lost_already"]?.list?.isEmpty == false { Terminal.line("of these, down  \(names("lost_already"))") }
    let survives = answer["data_survives"]?.boolean == true
    Terminal.line("data survives   \(survives ? "yes, all \(count) accounts" : "NO: \(names("data_lost"))")")
    let goesOn = answer["writes_go_on"]?.boolean == true
    let stopped = answer["writes_stopped"]?.list?.isEmpty == false ? names("writes_stopped") : "all"
    Terminal.line("writes go on    \(goesOn ? "yes, in all \(count) accounts" : "NO: \(stopped)")")
    let control =
      switch answer["control"]?.text {
      case "kept": "keeps its majority"
      case "outside": "stands outside: its machines are not judged here"
      case "unreachable": "NOT REACHABLE already: nothing can be moved or made"
      default: "LOSES its majority: nothing can be moved or made"
      }
    Terminal.line("control store   \(control)")
  }
}

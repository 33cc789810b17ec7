// The cluster on one screen, from what `/v1/cluster` says.

import Foundation

struct ClusterScreen {
  let status: JSONValue

  init(_ status: JSONValue) { self.status = status }

  var text: String {
    var lines = [headline, ""]
    lines += Terminal.table(
      ["REGION", "NODE", "HEALTH", "STATE", "RTT", "LOAD", "DISK", "ACCOUNTS", "ROLE", "API"], nodes.map(row)
    ).split(separator: "\n").map(String.init)
    lines += ["", "control store  \(control)"]
    lines.append("caretaker      \(status["caretaker"]?.text ?? "none at this moment")")
    if let time = status["committed_time"]?.text { lines.append("committed time \(time)") }
    if let change = status["last_change"]?.text { lines.append("last change    \(change)") }
    return lines.joined(separator: "\n")
  }

  private var nodes: [JSONValue] { status["nodes"]?.list ?? [] }

  private var headline: String {
    let alive = nodes.count { $0["health"]?.text == "alive" }
    let regions = Set(nodes.compactMap { $0["region"]?.text }).count
    let word = alive == nodes.count ? "all alive" : "\(nodes.count - alive) NOT alive"
    return "cluster \(status["name"]?.text ?? "?"): \(nodes.count) nodes in \(regions) regions, \(word)"
      + "   (as \(status["node"]?.text ?? "?") sees it)"
  }

  private var control: String {
    let endpoints = status["control"]?["endpoints"]?.list?.compactMap(\.text) ?? []
    let kind = status["control"]?["managed"]?.boolean == true ? "etcd, managed" : "etcd, outside"
    let voters = "\(endpoints.count) voter\(endpoints.count == 1 ? "" : "s") (\(endpoints.joined(separator: ", ")))"
    guard let time = status["control"]?["round_trip_ms"]?.double else { return "\(kind), \(voters): NOT REACHABLE" }
    return "\(kind), \(voters), answers in \(Self.number(time)) ms"
  }

  private func row(_ node: JSONValue) -> [String] {
    let name = node["name"]?.text ?? "?"
    let health = node["health"]?.text ?? "?"
    let mark = health == "alive" ? (node["is_degraded"]?.boolean == true ? "degraded" : "alive") : health.uppercased()
    let isSelf = name == status["node"]?.text
    return [
      node["region"]?.text ?? "?", name, mark, node["state"]?.text ?? "?",
      isSelf ? "here" : node["round_trip_ms"]?.double.map { "\(Self.number($0)) ms" } ?? "-",
      Self.percent(node["load_permille"]), Self.percent(node["disk_fill_permille"]),
      node["accounts"]?.shown ?? "-", node["is_issuer"]?.boolean == true ? "issuer" : "-", node["url"]?.text ?? "-",
    ]
  }

  private static func percent(_ value: JSONValue?) -> String {
    value?.double.map { "\(Int(($0 / 10).rounded())) %" } ?? "-"
  }

  private static func number(_ value: Double) -> String {
    value < 10 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
  }
}

// Prints the times that the design asks for.

import Base
import ClusterSim
import Membership

enum Measurements {
  static func print(_ what: String) -> Bool {
    switch what {
    case "detection":
      detection(5, 40)
      detection(50, 20)
      detection(500, 6)
    case "detection-small":
      detection(5, 40)
      detection(50, 20)
    case "hints":
      show(ClusterMeasurement.detection(5, .lan, deaths: 20, seed: 1, hints: true))
      show(ClusterMeasurement.detection(50, .lan, deaths: 10, seed: 1, hints: true))
    case "regions": show(ClusterMeasurement.detection(9, .lan, regions: 3, deaths: 20, seed: 1))
    case "memberlist":
      for (count, deaths) in [(5, 20), (50, 10), (500, 3)] {
        show(ClusterMeasurement.detection(count, memberlist, deaths: deaths, seed: 1))
      }
    case "wan": show(ClusterMeasurement.detection(9, .wan, regions: 3, deaths: 20, seed: 1))
    case "starvation": for (count, starved) in [(5, 5), (50, 50), (50, 10)] { starvation(count, starved, 3600) }
    case "starvation-500": starvation(500, 25, 120)
    case "ownership": ownership()
    default:
      Swift.print("komora-cluster-sim: no measurement \(what)")
      return false
    }
    return true
  }

  /// This machine with the timers of memberlist's `DefaultLANConfig`, for comparison on the same network.
  private static var memberlist: SwimConfiguration {
    var configuration = SwimConfiguration(
      probePeriod: .seconds(1), probeTimeout: .milliseconds(500), gossipPeriod: .milliseconds(200),
      pushPullPeriod: .seconds(30), reconnectPeriod: .seconds(30), joinRetry: .seconds(1), leaveLinger: .seconds(5))
    configuration.suspicionMultiplier = 4
    configuration.suspicionSpread = 6
    configuration.confirmationsWanted = 2
    configuration.confirmingProbes = 0
    return configuration
  }

  private static func detection(_ count: Int, _ deaths: Int) {
    show(ClusterMeasurement.detection(count, .lan, deaths: deaths, seed: 1))
  }

  private static func show(_ result: ClusterMeasurement.Detection) {
    func row(_ name: String, _ times: [Int64]) {
      guard let last = times.last else { return }
      Swift.print("  \(name): median \(times[times.count / 2] / 1_000_000) ms, worst \(last / 1_000_000) ms")
    }
    Swift.print("\(result.members) members, \(result.all.count) deaths, \(result.falseDeaths) false")
    row("first knows", result.first)
    row("half know", result.half)
    row("all know", result.all)
    Swift.print(
      "  datagrams per member and second: quiet \(round(result.quietRate)) (most \(round(result.quietMost)), "
        + "\(Int(result.quietBytes)) bytes/s), with news \(round(result.newsRate)) (most \(round(result.newsMost)))")
  }

  private static func starvation(_ count: Int, _ starved: Int, _ seconds: Int) {
    let result = ClusterMeasurement.starvation(count, starved: starved, .lan, seconds: seconds, seed: 1)
    Swift.print(
      "\(count) members, \(starved) starved, \(seconds) s: \(result.falseDeaths) false deaths, \(result.suspicions) "
        + "suspicions heard, \(result.stalls) stalls, \(round(result.rate)) datagrams per member and second")
  }

  private static func ownership() {
    for (title, regions, hints) in [
      ("killed, streams tell", 1, true), ("killed, only silence tells", 1, false),
      ("three regions, streams tell", 3, true),
    ] {
      let result = OwnershipMeasurement.killed(regions: regions, hints: hints, deaths: 40, seed: 1)
      show(title, result)
    }
    show("handed over", OwnershipMeasurement.handedOver(times: 40, seed: 1))
    show("handed over between regions", OwnershipMeasurement.handedOver(regions: 3, times: 40, seed: 1))
    let away = OwnershipMeasurement.withoutStore(seconds: 30, seed: 1)
    Swift.print(
      "control store away for 30 s: \(away.acknowledgedMeanwhile) writes acknowledged meanwhile, "
        + "\(away.leadsBegun) new primaries")
  }

  private static func show(_ title: String, _ result: OwnershipMeasurement.Outages) {
    Swift.print(
      "\(title), \(result.times.count) times: no write for \(result.median / 1_000_000) ms, worst "
        + "\(result.worst / 1_000_000) ms" + (result.violation.map { ", \($0)" } ?? ""))
  }

  private static func round(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}

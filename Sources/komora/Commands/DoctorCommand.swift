// `komora doctor`: what is wrong between this command and its node, and what to do about it.

import ArgumentParser
import Foundation

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check profile, certificate, node, token and accounts.")

  @OptionGroup var connection: ConnectionOptions

  private struct Finding {
    var name: String
    var problem: String?
  }

  func run() async throws {
    var findings: [Finding] = []
    do throws(CommandFailure) {
      let settings = try connection.settings()
      findings.append(Finding(name: "address \(settings.urls[0])", problem: nil))
      let client = try APIClient(settings)
      findings += await check(client)
      await client.exchange.close()
    } catch {
      findings.append(Finding(name: "connection", problem: error.message))
    }
    show(findings)
    let bad = findings.count { $0.problem != nil }
    guard bad == 0 else {
      throw CommandFailure(.failed, "\(bad) of \(findings.count) checks found something: see above")
    }
  }

  private func check(_ client: APIClient) async -> [Finding] {
    var findings: [Finding] = []
    for path in ["/healthz", "/readyz"] { findings.append(await probe(client, path)) }
    guard findings.allSatisfy({ $0.problem == nil }) else { return findings }
    do {
      let accounts = try await client.get("/v1/accounts")["accounts"]?.list ?? []
      findings.append(Finding(name: "token", problem: nil))
      let waiting = accounts.filter { $0["state"]?.text != "active" }.compactMap { $0["name"]?.text }
      findings.append(
        Finding(
          name: "\(accounts.count) accounts",
          problem: waiting.isEmpty ? nil : "not active: \(waiting.joined(separator: ", "))"))
    } catch {
      findings.append(Finding(name: "token", problem: error.message))
    }
    return findings
  }

  private func probe(_ client: APIClient, _ path: String) async -> Finding {
    let url = client.settings.urls[0] + path
    do {
      let answer = try await client.exchange.probe(url, seconds: 10)
      guard answer.status == 200 else {
        return Finding(name: path, problem: "the node answers with status \(answer.status): see its log")
      }
      let skew = answer.date.flatMap(Self.seconds).map { abs($0) } ?? 0
      return Finding(name: path, problem: skew > 300 ? "clocks differ by \(skew) s: set this machine's clock" : nil)
    } catch {
      return Finding(name: path, problem: HTTPExchange.failure(error, url).message)
    }
  }

  /// How far an HTTP date lies from now.
  private static func seconds(_ date: String) -> Int? {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = .gmt
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
    return formatter.date(from: date).map { Int($0.timeIntervalSinceNow) }
  }

  private func show(_ findings: [Finding]) {
    if connection.json {
      let list = findings.map { finding -> JSONValue in
        .object(["check": .text(finding.name), "problem": finding.problem.map { .text($0) } ?? .null])
      }
      Terminal.line(JSONValue.object(["checks": .list(list)]).encoded(pretty: true))
    } else {
      for finding in findings {
        Terminal.line(
          "\(finding.problem == nil ? "ok  " : "BAD ")  \(finding.name)\(finding.problem.map { ": " + $0 } ?? "")")
      }
    }
  }
}

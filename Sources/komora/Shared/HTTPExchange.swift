// One HTTP request and its whole answer, to the first node that answers.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

struct HTTPAnswer: Sendable {
  var status: Int
  var headers: HTTPHeaders
  var body: [UInt8]
}

final class HTTPExchange: Sendable {
  static let answerBytesMax = 64 << 20
  private let client: HTTPClient

  init(ca: String?) throws(CommandFailure) {
    var tls = TLSConfiguration.makeClientConfiguration()
    if let ca {
      guard FileManager.default.isReadableFile(atPath: ca) else {
        throw CommandFailure(.usage, "cannot read the CA's certificate \(ca): give another one with --ca")
      }
      tls.trustRoots = .file(ca)
    }
    var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
    // A dead node must not keep a command from the next one.
    configuration.timeout.connect = .seconds(2)
    // Answers are taken as they are: a redirect from a node would send the token elsewhere.
    configuration.redirectConfiguration = .disallow
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  func close() async { try? await client.shutdown() }

  func send(
    _ method: HTTPMethod, _ url: String, headers: HTTPHeaders, body: HTTPClientRequest.Body? = nil,
    timeout: TimeAmount = .seconds(120)
  ) async throws -> HTTPAnswer {
    var request = HTTPClientRequest(url: url)
    request.method = method
    request.headers = headers
    request.body = body
    let response = try await client.execute(request, timeout: timeout)
    let bytes = try await response.body.collect(upTo: Self.answerBytesMax)
    return HTTPAnswer(status: Int(response.status.code), headers: response.headers, body: Array(buffer: bytes))
  }

  /// A plain GET, for probes: status and the answer's date.
  func probe(_ url: String, seconds: Int64) async throws -> (status: Int, date: String?) {
    let answer = try await send(.GET, url, headers: [:], timeout: .seconds(seconds))
    return (answer.status, answer.headers.first(name: "date"))
  }

  /// What to tell a person about a request that got no answer.
  static func failure(_ error: any Error, _ url: String) -> CommandFailure {
    let text = "\(error)"
    if text.contains("CERTIFICATE_VERIFY_FAILED") {
      return CommandFailure(.refused, "\(url) shows a certificate of another CA: give its CA's certificate with --ca")
    }
    return CommandFailure(.unavailable, "no node answers at \(url): start one with `komora dev`, or give another --url")
  }
}

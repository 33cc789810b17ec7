// Replies of requests that may take minutes: copies, and the end of uploads in parts.
//
// What is done soon is answered as everything else. What takes longer is answered 200 at once, with blanks until the
// document is there, so that no proxy and no client takes the connection for dead; a failure then stands in the
// document, where S3's clients look for it.

import Base
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node
import OpenSSL
import SigV4
import Threads

extension S3Service {
  typealias Outcome = Result<(XMLText, HTTPFields), any Error>

  func patiently(
    _ request: S3Request, _ work: @escaping @Sendable () async throws -> (XMLText, HTTPFields)
  ) async throws -> Response {
    let task = Task { try await work() }
    let interval = node.configuration.timers.requestTimeout / 6
    if let outcome = await outcome(of: task, until: .now + interval) {
      let (document, fields) = try outcome.get()
      var response = xml(document)
      for field in fields { response.headers.append(field) }
      return response
    }
    let declaration = XMLText().bytes
    let id = SystemRandom.bytes(8).hex
    return Response(
      status: .ok, headers: [.contentType: "application/xml", .amazonRequestID: id],
      body: ResponseBody { writer in
        // A declaration stands at the very beginning or nowhere.
        try await writer.write(ByteBuffer(bytes: declaration))
        while true {
          guard let outcome = await outcome(of: task, until: .now + interval) else {
            try await writer.write(ByteBuffer(string: " "))
            continue
          }
          let document =
            switch outcome {
            case .success(let (document, _)): document.bytes
            case .failure(let error): refusal(of: request, error, id)
            }
          try await writer.write(ByteBuffer(bytes: document.dropFirst(declaration.count)))
          return try await writer.finish(nil)
        }
      })
  }

  /// The head has said 200, so nobody else will say that it failed.
  private func refusal(of request: S3Request, _ error: any Error, _ id: String) -> [UInt8] {
    let shown = S3Error(thrown: error)
    if shown.status.code >= 500, shown.status != .notImplemented {
      request.context.logger.error("S3 request failed", metadata: ["request": "\(id)", "error": "\(error)"])
    }
    return shown.body(resource: request.target.rawPath, requestID: id)
  }

  /// Nil when the moment comes first.
  private func outcome(
    of task: Task<(XMLText, HTTPFields), any Error>, until moment: ContinuousClock.Instant
  ) async -> Outcome? {
    let waiter = Lock<CheckedContinuation<Outcome?, Never>?>(nil)
    return await withCheckedContinuation { continuation in
      waiter.with { $0 = continuation }
      let token = deadlines.add(moment) { waiter.with { $0.take() }?.resume(returning: nil) }
      Task {
        let outcome = await task.result
        deadlines.remove(token)
        waiter.with { $0.take() }?.resume(returning: outcome)
      }
    }
  }
}

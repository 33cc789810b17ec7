// Replies of requests that may take minutes: copies, and the end of uploads in parts.
//
// What is done soon is answered as everything else. What takes longer is answered 200 at once, with blanks until the
// document is there, so that no proxy and no client takes the connection for dead; a failure then stands in the
// document, where S3's clients look for it.

import Base
import HTTPTypes
import Hummingbird
import NIOCore
import Node
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
    return Response(
      status: .ok, headers: [.contentType: "application/xml"],
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
            case .failure(let error): S3Error(thrown: error).body(resource: request.target.rawPath, requestID: "")
            }
          try await writer.write(ByteBuffer(bytes: document.dropFirst(declaration.count)))
          return try await writer.finish(nil)
        }
      })
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

// Liveness, readiness and metrics. The first two are open; metrics need a token except from the machine itself.

import HTTPTypes
import Hummingbird
import NIOCore
import Node
import Threads

struct Probes: Sendable {
  let node: NodeService
  let access: Access
  /// Set when the node begins to stop: from then on it is not ready.
  let isStopping = Lock(false)

  func addRoutes(to router: Router<APIContext>) {
    router.get("healthz") { _, _ in Self.text("ok") }
    router.get("readyz") { _, _ in
      isStopping.with { $0 } || node.isLeaving ? Self.text("stopping", status: .serviceUnavailable) : Self.text("ready")
    }
    router.get("metrics") { request, context in
      if !context.isFromLoopback { try access.administrator(.read, request, context) }
      let open = request.headers[.accept]?.contains("application/openmetrics-text") ?? false
      var response = Self.text(node.metricsText(openMetrics: open))
      response.headers[.contentType] = MetricsRegistry.contentType(openMetrics: open)
      return response
    }
  }

  private static func text(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }
}

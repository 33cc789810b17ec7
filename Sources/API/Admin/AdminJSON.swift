// JSON of the admin API: names with underscores, times in RFC 3339, nothing that is not asked for.

import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

enum AdminJSON {
  static func bytes(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }

  static func response(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try bytes(value))))
  }

  /// An empty body is an empty object.
  static func decode<T: Decodable>(_: T.Type, from buffer: ByteBuffer) throws -> T {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      T.self, from: buffer.readableBytes == 0 ? Data("{}".utf8) : Data(buffer.readableBytesView))
  }

  /// Reads a request's body of at most `limit` bytes. An empty body is an empty object.
  static func body<T: Decodable>(_: T.Type, of request: Request, limit: Int) async throws -> T {
    let buffer: ByteBuffer
    do {
      buffer = try await request.body.collect(upTo: limit)
    } catch is NIOTooManyBytesError {
      throw APIError(.contentTooLarge, code: "tooLarge", "the request is larger than the node accepts")
    }
    do {
      return try decode(T.self, from: buffer)
    } catch DecodingError.keyNotFound(let key, _) {
      throw APIError(.badRequest, code: "invalid", "the field \(key.stringValue) is missing")
    } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
      let field = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw APIError(.badRequest, code: "invalid", "the field \(field) has the wrong type")
    } catch {
      throw APIError(.badRequest, code: "invalid", "the request is not JSON")
    }
  }
}

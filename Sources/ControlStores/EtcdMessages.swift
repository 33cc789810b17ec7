// The messages of etcd's JSON gateway that are used: protobuf's JSON mapping, so 64-bit numbers are strings, bytes are
// base64, and a field with its default value is left out.

import Foundation

enum EtcdMessage {
  struct Number: Codable, Sendable {
    var value: Int64
    init(_ value: Int64) { self.value = value }

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        guard let value = Int64(text) else {
          throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a number: \(text)")
        }
        self.value = value
      } else {
        value = try container.decode(Int64.self)
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(String(value))
    }
  }

  /// Members of etcd are numbered with all 64 bits.
  struct Identifier: Codable, Sendable {
    var value: UInt64
    init(_ value: UInt64) { self.value = value }

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      guard let value = UInt64(try container.decode(String.self)) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "not the number of a member")
      }
      self.value = value
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(String(value))
    }
  }

  struct Header: Decodable, Sendable { var revision: Number? }

  struct KeyValue: Decodable, Sendable {
    var key: Data
    var value: Data?
    var revision: Number?
    enum CodingKeys: String, CodingKey {
      case key, value
      case revision = "mod_revision"
    }
  }

  struct RangeRequest: Encodable {
    var key: Data
    var end: Data?
    var limit: Number?
    enum CodingKeys: String, CodingKey {
      case key, limit
      case end = "range_end"
    }
  }
  struct RangeResponse: Decodable, Sendable {
    var header: Header
    var kvs: [KeyValue]?
  }

  struct TransactionRequest: Encodable {
    struct Compare: Encodable {
      var key: Data
      var target = "MOD"
      var revision: Number
      var result = "EQUAL"
      enum CodingKeys: String, CodingKey {
        case key, target, result
        case revision = "mod_revision"
      }
    }
    struct Put: Encodable {
      var key: Data
      var value: Data
      var lease: Number?
    }
    struct Delete: Encodable { var key: Data }
    struct Operation: Encodable {
      var put: Put?
      var delete: Delete?
      enum CodingKeys: String, CodingKey {
        case put = "request_put"
        case delete = "request_delete_range"
      }
    }
    var compare: [Compare]
    var success: [Operation]
  }
  struct TransactionResponse: Decodable, Sendable {
    var header: Header
    var succeeded: Bool?
  }

  struct WatchRequest: Encodable {
    struct Create: Encodable {
      var key: Data
      var end: Data
      var revision: Number
      enum CodingKeys: String, CodingKey {
        case key
        case end = "range_end"
        case revision = "start_revision"
      }
    }
    var create: Create
    enum CodingKeys: String, CodingKey { case create = "create_request" }
  }
  struct WatchLine: Decodable, Sendable {
    struct Event: Decodable, Sendable {
      /// `PUT` is the default and left out.
      var type: String?
      var entry: KeyValue
      enum CodingKeys: String, CodingKey {
        case type
        case entry = "kv"
      }
    }
    struct Result: Decodable, Sendable {
      var header: Header?
      var created: Bool?
      var canceled: Bool?
      var reason: String?
      var compacted: Number?
      var events: [Event]?
      enum CodingKeys: String, CodingKey {
        case header, created, canceled, events
        case reason = "cancel_reason"
        case compacted = "compact_revision"
      }
    }
    var result: Result?
    var error: Failure?
  }

  struct Lease: Codable, Sendable {
    var id: Number?
    var seconds: Number?
    enum CodingKeys: String, CodingKey {
      case id = "ID"
      case seconds = "TTL"
    }
  }
  struct KeepAliveLine: Decodable, Sendable {
    var result: Lease?
    var error: Failure?
  }

  struct Failure: Decodable, Sendable {
    var message: String?
    var error: String?
    var text: String { message ?? error ?? "no reason given" }

    init(from decoder: any Decoder) throws {
      enum Key: String, CodingKey { case message, error }
      let container = try decoder.container(keyedBy: Key.self)
      message = try? container.decode(String.self, forKey: .message)
      error = try? container.decode(String.self, forKey: .error)
    }
  }
  struct Nothing: Decodable, Sendable {}
  struct Empty: Encodable {}
}

// One page of a listing: keys under a prefix, with everything behind the next delimiter rolled into common prefixes.
//
// It asks for rows in key order and skips over a common prefix with one question, however many keys lie under it. Keys
// are compared as bytes: two spellings of the same letter are two keys.

import SigV4

package struct ObjectListing: Sendable {
  package struct Object: Equatable, Sendable {
    package var key: String
    package var bytes: Int
    package var etag: String
    /// Microseconds since 1970.
    package var modified: Int64

    package init(key: String, bytes: Int, etag: String, modified: Int64) {
      self.key = key
      self.bytes = bytes
      self.etag = etag
      self.modified = modified
    }
  }

  package enum Start: Equatable, Sendable {
    case behindKey(String)
    /// Behind every key under this common prefix.
    case behindPrefix(String)

    /// What a client sends back for the next page; it means nothing to it.
    package var token: String {
      switch self {
      case .behindKey(let key): Base64.encode([UInt8(ascii: "k")] + Array(key.utf8))
      case .behindPrefix(let prefix): Base64.encode([UInt8(ascii: "p")] + Array(prefix.utf8))
      }
    }

    package init?(token: String) {
      guard let bytes = Base64.decode(token), let text = String(validating: bytes.dropFirst(), as: UTF8.self) else {
        return nil
      }
      switch bytes.first {
      case UInt8(ascii: "k"): self = .behindKey(text)
      case UInt8(ascii: "p"): self = .behindPrefix(text)
      default: return nil
      }
    }

    /// The same for the older form of listing, whose marker is a key: not less than any key that is left out, since no
    /// text has a scalar beyond U+10FFFF.
    package var marker: String {
      switch self {
      case .behindKey(let key): key
      case .behindPrefix(let prefix): prefix + "\u{10FFFF}"
      }
    }
  }

  package struct Query: Equatable, Sendable {
    package var prefix = ""
    package var delimiter = ""
    package var start = Start.behindKey("")
    package var keysMax = 1000

    package init() {}
  }

  package private(set) var objects: [Object] = []
  package private(set) var prefixes: [String] = []
  /// Where the next page begins; nil when this is the last.
  package private(set) var next: Start?
  package var count: Int { objects.count + prefixes.count }

  /// `rows` gives at most `limit` objects under the prefix whose keys are greater than `after`, by key in byte order.
  package init<E: Error>(_ query: Query, rows: (_ after: String, _ limit: Int) throws(E) -> [Object]) throws(E) {
    guard query.keysMax > 0 else { return }
    var start = query.start
    while true {
      let limit = min(1000, query.keysMax - count + 1)
      let page = try rows(start.marker, limit)
      var skips = false
      for object in page {
        let prefix = Self.commonPrefix(of: object.key, query)
        if let prefix, let known = prefixes.last, known.utf8.elementsEqual(prefix.utf8) {
          start = .behindKey(object.key)
          continue
        }
        guard count < query.keysMax else {
          next = start
          return
        }
        if let prefix {
          prefixes.append(prefix)
          start = .behindPrefix(prefix)
          skips = true
          break
        }
        objects.append(object)
        start = .behindKey(object.key)
      }
      guard skips || page.count == limit else { return }
    }
  }

  /// The key up to and with the first delimiter behind the prefix.
  private static func commonPrefix(of key: String, _ query: Query) -> String? {
    let (key, delimiter) = (Array(key.utf8), Array(query.delimiter.utf8))
    let start = query.prefix.utf8.count
    guard !delimiter.isEmpty, key.starts(with: query.prefix.utf8), key.count >= start + delimiter.count else {
      return nil
    }
    for i in start...(key.count - delimiter.count) where key[i...].starts(with: delimiter) {
      return String(decoding: key[..<(i + delimiter.count)], as: UTF8.self)
    }
    return nil
  }
}

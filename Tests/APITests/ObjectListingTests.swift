// Listings against a model that keeps all keys in a sorted array.

import API
import Base
import Testing

@Suite struct ObjectListingTests {
  private typealias Object = ObjectListing.Object

  /// As the catalogue answers.
  private func rows(_ keys: [String], _ prefix: String) -> (String, Int) -> [Object] {
    let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return { after, limit in
      sorted.filter { $0.utf8.starts(with: prefix.utf8) && after.utf8.lexicographicallyPrecedes($0.utf8) }.prefix(limit)
        .map { Object(key: $0, bytes: 1, etag: "\"e\"", modified: 0) }
    }
  }

  private func query(_ prefix: String = "", delimiter: String = "", keysMax: Int = 1000) -> ObjectListing.Query {
    var query = ObjectListing.Query()
    (query.prefix, query.delimiter, query.keysMax) = (prefix, delimiter, keysMax)
    return query
  }

  /// Every page by its token, as a client asks.
  private func all(_ keys: [String], _ first: ObjectListing.Query) throws -> (
    keys: [String], prefixes: [String], pages: Int
  ) {
    var query = first
    var (found, prefixes, pages) = ([String](), [String](), 0)
    while true {
      let page = ObjectListing(query, rows: rows(keys, query.prefix))
      #expect(page.count <= query.keysMax)
      found += page.objects.map(\.key)
      prefixes += page.prefixes
      pages += 1
      guard let next = page.next else { return (found, prefixes, pages) }
      query.start = try #require(ObjectListing.Start(token: next.token))
    }
  }

  @Test("keys behind a delimiter are rolled into common prefixes")
  func delimiter() throws {
    let keys = ["a", "a/1", "a/2", "a0", "b/c/d", "b/c/e", "b/f", "z"]
    let top = try all(keys, query(delimiter: "/"))
    #expect(top.keys == ["a", "a0", "z"] && top.prefixes == ["a/", "b/"])
    let below = try all(keys, query("b/", delimiter: "/"))
    #expect(below.keys == ["b/f"] && below.prefixes == ["b/c/"])
    let word = try all(keys, query("b", delimiter: "c/"))
    #expect(word.keys == ["b/f"] && word.prefixes == ["b/c/"])
  }

  @Test("pages of every size give every key and prefix once, in order")
  func pages() throws {
    var random = SeededGenerator(seed: 21)
    for _ in 0..<12 {
      let keys = Set(
        (0..<30).map { _ in
          (0...random.below(4)).map { _ in ["a", "b", "/", "é", "e\u{301}"][random.below(5)] }.joined()
        })
      for delimiter in ["", "/", "a/"] {
        for prefix in ["", "a", "é"] {
          let whole = ObjectListing(query(prefix, delimiter: delimiter), rows: rows(Array(keys), prefix))
          for size in [1, 2, 7] {
            let found = try all(Array(keys), query(prefix, delimiter: delimiter, keysMax: size))
            #expect(found.keys.map { Array($0.utf8) } == whole.objects.map { Array($0.key.utf8) })
            #expect(found.prefixes.map { Array($0.utf8) } == whole.prefixes.map { Array($0.utf8) })
            #expect(found.pages == max(1, (whole.count + size - 1) / size))
          }
        }
      }
    }
  }

  @Test("a common prefix with very many keys costs one question")
  func skips() {
    let keys = (0..<5000).map { "calls/\($0)" } + ["z"]
    var questions = 0
    let source = rows(keys, "")
    let listing = ObjectListing(query(delimiter: "/", keysMax: 10)) { after, limit in
      questions += 1
      return source(after, limit)
    }
    #expect(listing.prefixes == ["calls/"] && listing.objects.map(\.key) == ["z"])
    #expect(questions <= 3)
  }

  @Test("no keys are asked for, and none come")
  func none() {
    let listing = ObjectListing(query(keysMax: 0), rows: rows(["a"], ""))
    #expect(listing.count == 0 && listing.next == nil)
  }

  @Test("a token that is not ours is refused", arguments: ["", "x", "AAAA", "azz", "!!!!", "/w=="])
  func tokens(_ token: String) {
    #expect(ObjectListing.Start(token: token) == nil)
  }
}

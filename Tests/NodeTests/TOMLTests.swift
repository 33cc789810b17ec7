// The part of TOML that is read, and what is refused with its line.

import Base
import Node
import Testing

@Suite("TOML")
struct TOMLTests {
  @Test("sections, strings, numbers, booleans and lists")
  func values() throws {
    let document = try TOMLDocument(
      """
      # a comment
      top = 'literal \\ kept'
      [one]   # behind a header
      "quoted key" = "a\\tb \\"c\\" \\u00e9 \\U0001F600 \\\\"
      number = -1_000
      flag = true
      list = [ "a", 'b',  # inside
        "c" ,
      ]
      empty = []
      [two]
      number = 0
      """)
    #expect(document["", "top"] == .text("literal \\ kept"))
    #expect(document["one", "quoted key"] == .text("a\tb \"c\" é 😀 \\"))
    #expect(document["one", "number"] == .number(-1000))
    #expect(document["one", "flag"] == .boolean(true))
    #expect(document["one", "list"]?.texts == ["a", "b", "c"])
    #expect(document["one", "empty"]?.texts == [])
    #expect(document["two", "number"] == .number(0))
    #expect(document.entries.map(\.line) == [2, 4, 5, 6, 7, 10, 12])
  }

  @Test("lines may end as on Windows")
  func carriageReturns() throws {
    let document = try TOMLDocument("[a]\r\nb = 1\r\n\r\nc = \"d\"\r\n")
    #expect(document["a", "b"] == .number(1))
    #expect(document.entries.last?.line == 4)
  }

  @Test(
    "what is not read is refused with its line",
    arguments: [
      "x", "x =", "x = y", "= 1", "x = 1 2", "x = \"a", "x = \"a\\q\"", "x = \"\\uD800\"", "x = 'a\nb'", "x = [1",
      "x = [1 2]",
      "x = {a = 1}", "x = [[1]]", "x.y = 1", "[[x]]", "[x", "[]", "[.a]", "[a.b]", "x = 1.5", "x = 010", "x = 1__0",
      "x = --1", "x = 1979-05-27", "x = \"\"\"a\"\"\"", "x = 1\nx = 2", "[a]\n[a]", "x = \"\u{1}\"",
      "x = 99999999999999999999",
    ])
  func refused(_ text: String) {
    #expect { try TOMLDocument("# first\n" + text) } throws: { (($0 as? ConfigurationError)?.line ?? 0) >= 2 }
  }

  @Test("random text is read or refused, never more")
  func fuzz() {
    var random = SeededGenerator(seed: 17)
    let words = [
      "[", "]", "[[", "=", "\"", "'", "\\", "u", "\n", "\r", " ", "#", ",", ".", "a", "1", "_", "-", "é", "{", "\u{0}",
    ]
    for _ in 0..<20_000 {
      let text = (0..<random.below(24)).map { _ in words[random.below(words.count)] }.joined()
      _ = try? TOMLDocument(text)
    }
  }
}

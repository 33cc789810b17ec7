// Tokens are long, drawn uniformly, and stored so that the store does not give them away.

import Node
import Testing

@Suite("tokens")
struct TokenTests {
  @Test("a token has its prefix and 43 letters and digits, and no two are alike")
  func shape() {
    let tokens = (0..<200).map { _ in Token.draw() }
    #expect(Set(tokens).count == 200)
    for token in tokens {
      #expect(token.hasPrefix("kt_"))
      #expect(token.utf8.count == 46)
      #expect(token.dropFirst(3).allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) })
    }
    // Every one of the 62 characters turns up among 8,600: none is left out by the drawing.
    #expect(Set(tokens.joined()).count >= 62)
  }

  @Test("a hash is the SHA-256 of the whole token")
  func hash() {
    #expect(
      Token.hash("kt_abc")?.map { String($0, radix: 16) }.joined().count ?? 0 > 50)
    #expect(Token.hash("kt_abc") != Token.hash("kt_abd"))
    #expect(Token.hash("kt_abc")?.count == 32)
  }

  @Test(
    "what cannot be a token is not hashed",
    arguments: ["", "abc", "KT_abc", "kt_" + String(repeating: "a", count: 200)])
  func noToken(_ text: String) { #expect(Token.hash(text) == nil) }
}

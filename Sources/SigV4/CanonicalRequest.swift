// The two texts of Signature V4: the canonical request, and the string to sign that contains its hash.
//
// S3's rules, which differ from other services': the path is encoded once and never normalised.

internal import Base
internal import OpenSSL

enum CanonicalRequest {
  static let algorithm = "AWS4-HMAC-SHA256"

  /// `signedHeaders` are sorted, lower-case and present in the request.
  static func text(
    _ request: SignedRequest, signedHeaders: [String], payloadHash: String, excludingQuery excluded: String? = nil
  ) -> String {
    var lines = [request.method, request.target.canonicalPath, request.target.canonicalQuery(without: excluded)]
    lines += signedHeaders.map { "\($0):\(trimmed(request[$0] ?? ""))" }
    lines += ["", signedHeaders.joined(separator: ";"), payloadHash]
    return lines.joined(separator: "\n")
  }

  static func stringToSign(_ canonical: String, time: SigningTime, scope: CredentialScope) -> String {
    [algorithm, time.text, scope.text, SHA256.hash(Array(canonical.utf8)).hex].joined(separator: "\n")
  }

  /// A field's value without blanks around it and with every run of blanks inside as one space.
  private static func trimmed(_ value: String) -> String {
    value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
  }
}

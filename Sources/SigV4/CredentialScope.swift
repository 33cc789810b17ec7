// Day, region and service that a signature holds for, as in `20130524/us-east-1/s3/aws4_request`.

package struct CredentialScope: Equatable, Sendable {
  package let day: String
  package let region: String
  package let service: String

  package init(day: String, region: String, service: String = "s3") {
    self.day = day
    self.region = region
    self.service = service
  }

  package var text: String { "\(day)/\(region)/\(service)/aws4_request" }

  /// Reads `<access key>/<day>/<region>/<service>/aws4_request`. The access key may contain slashes, the rest may not.
  static func parse(credential: String) throws(SigV4Error) -> (accessKey: String, scope: CredentialScope) {
    let parts = credential.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 5, parts.last == "aws4_request" else {
      throw SigV4Error(.malformed, "The credential must be ACCESS-KEY/DAY/REGION/SERVICE/aws4_request.")
    }
    let accessKey = parts.dropLast(4).joined(separator: "/")
    let (day, region, service) = (parts[parts.count - 4], parts[parts.count - 3], parts[parts.count - 2])
    guard !accessKey.isEmpty, accessKey.utf8.count <= 128, !region.isEmpty, region.utf8.count <= 64 else {
      throw SigV4Error(.malformed, "The credential's access key or region is empty or too long.")
    }
    guard day.utf8.count == 8, day.utf8.allSatisfy({ (48...57).contains($0) }) else {
      throw SigV4Error(.malformed, "The credential's day must be YYYYMMDD.")
    }
    return (accessKey, CredentialScope(day: String(day), region: String(region), service: String(service)))
  }
}

// Where a node keeps copies of its archives outside of the cluster, and by which rules: section [offsite].

import Foundation
package import OffSite

extension NodeConfiguration {
  package struct OffSite: Sendable, Equatable {
    package var target: OffSiteTarget
    package var accessKey: String
    /// A file with the secret key alone.
    package var secretFile: String
    /// PEM; nil for the system's authorities.
    package var authority: String?
    package var policy: EndpointPolicy
    package var lock: ObjectLock.Mode?
    package var partBytes: Int

    package init(
      target: OffSiteTarget, accessKey: String, secretFile: String, authority: String? = nil, policy: EndpointPolicy,
      lock: ObjectLock.Mode? = nil, partBytes: Int = 8 << 20
    ) {
      self.target = target
      self.accessKey = accessKey
      self.secretFile = secretFile
      self.authority = authority
      self.policy = policy
      self.lock = lock
      self.partBytes = partBytes
    }
  }

  /// Nil when no target is named. The operator's own target is on the operator's list.
  static func offSite(_ values: Values, _ source: String) throws(ConfigurationError) -> OffSite? {
    guard let url = values.optionalText("offsite.url") else { return nil }
    let target: OffSiteTarget
    do { target = try OffSiteTarget(url, region: values.text("offsite.region")) } catch {
      throw ConfigurationError("`offsite.url`: \(error.message)", source: source)
    }
    guard let accessKey = values.optionalText("offsite.access_key"), let secret = values.path("offsite.secret_file")
    else {
      throw ConfigurationError(
        "`offsite.url` wants `offsite.access_key` and `offsite.secret_file`, a file with the secret key", source: source
      )
    }
    let partBytes = values.number("offsite.part_bytes")
    guard partBytes >= 5 << 20 else {
      throw ConfigurationError("`offsite.part_bytes` is at least \"5MiB\": S3 takes no smaller parts", source: source)
    }
    return OffSite(
      target: target, accessKey: accessKey, secretFile: secret, authority: values.path("offsite.ca"),
      policy: EndpointPolicy(
        allowedHosts: [target.host], allowsPrivate: values.boolean("offsite.allow_private")),
      lock: ObjectLock.Mode(rawValue: values.text("offsite.lock").uppercased()), partBytes: partBytes)
  }
}

// What S3 allows of an upload in parts.

package enum MultipartLimits {
  /// Parts are numbered from 1.
  package static let partNumberMax = 10_000
  /// Bytes of every part but the last.
  package static let partBytesMin = 5 << 20
}

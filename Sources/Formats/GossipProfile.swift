// What a member is called and where it stands; fixed for one incarnation.

import Base

public struct GossipProfile: Hashable, Sendable {
  public var address: GossipAddress
  /// Each at most `GossipLimits.textBytesMax` bytes of UTF-8.
  public var name: String
  public var region: String
  public var zone: String

  public init(address: GossipAddress, name: String, region: String, zone: String) {
    self.address = address
    self.name = name
    self.region = region
    self.zone = zone
  }

  static let byteCountMin = 7 + 3
  var byteCount: Int { address.byteCount + 3 + name.utf8.count + region.utf8.count + zone.utf8.count }

  func encode(to w: inout ByteWriter) {
    address.encode(to: &w)
    w.put(shortText: name)
    w.put(shortText: region)
    w.put(shortText: zone)
  }

  init(from r: inout GossipReader) throws(FormatError) {
    address = try GossipAddress(from: &r)
    name = try r.takeText()
    region = try r.takeText()
    zone = try r.takeText()
  }
}

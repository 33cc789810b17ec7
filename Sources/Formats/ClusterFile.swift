// What makes a node one of a cluster, as it lies sealed on its disk, and the cluster's recovery kit before it is sealed
// for somebody outside. Layout: Formats.docc/cluster.md.
//
// The contents are fields with numbers, so that a later release can add some; one that is not known is refused, because
// an older release would lose it when it writes the file again.

public import Base

/// One fact of a cluster; the raw values are stored for ever.
public enum ClusterField: UInt16, Sendable, CaseIterable {
  case clusterName = 1
  /// 16 bytes.
  case clusterID = 2
  /// 32 bytes: what the control store's values are sealed under.
  case controlRoot = 3
  /// PEM.
  case authority = 4, certificate = 5, key = 6, apiCertificate = 7, apiKey = 8
  /// A ring of datagram keys, as `DatagramRingContents` writes it.
  case ring = 9
  /// URLs, separated by line feeds.
  case controlEndpoints = 10
  case controlAuthority = 11, controlCertificate = 12, controlKey = 13
  /// One byte: 1 when the nodes run etcd themselves.
  case controlManaged = 14
  /// The authorities' own keys and certificates; with issuers only.
  case authorityKey = 15
  case etcdClientAuthority = 16, etcdClientAuthorityKey = 17
  case etcdPeerAuthority = 18, etcdPeerAuthorityKey = 19
  /// For an etcd member on this node.
  case etcdServerCertificate = 20, etcdServerKey = 21, etcdPeerCertificate = 22, etcdPeerKey = 23
  /// Certificate of the authority that the members know each other by.
  case etcdPeerTrust = 24
}

/// The fields, each at most once.
public struct ClusterContents: Sendable, Equatable {
  public static let fieldBytesMax = 64 << 10
  public var fields: [ClusterField: [UInt8]]

  public init(_ fields: [ClusterField: [UInt8]] = [:]) { self.fields = fields }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 8192)
    w.put(UInt16(fields.count))
    for (field, bytes) in fields.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      precondition(bytes.count <= Self.fieldBytesMax, "a field of a cluster is short")
      w.put(field.rawValue)
      w.put(string: bytes)
    }
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    var fields: [ClusterField: [UInt8]] = [:]
    do throws(BytesError) {
      for _ in 0..<Int(try r.take(UInt16.self)) {
        let start = r.offset
        let number: UInt16 = try r.take()
        guard let field = ClusterField(rawValue: number) else {
          throw BytesError("field \(number) is not known: a newer release wrote this", at: start)
        }
        guard fields[field] == nil else { throw BytesError("field \(number) twice", at: start) }
        fields[field] = try r.takeString(limit: Self.fieldBytesMax)
      }
      try r.finish()
    } catch {
      throw FormatError(.damaged, error.message, at: error.offset)
    }
    self.fields = fields
  }
}

/// The file around sealed contents.
public struct ClusterFile: Sendable, Equatable {
  static let magic = Array("KCLU".utf8)
  static let version: UInt16 = 1
  public static let byteCountMax = 1 << 20

  /// The contents' key, wrapped under the node's key-encryption key.
  public var wrapped: [UInt8]
  /// 12 bytes.
  public var nonce: [UInt8]
  /// Cipher text and tag.
  public var sealed: [UInt8]

  public init(wrapped: [UInt8], nonce: [UInt8], sealed: [UInt8]) {
    self.wrapped = wrapped
    self.nonce = nonce
    self.sealed = sealed
  }

  /// What the seal is bound to.
  public static var associated: [UInt8] { magic + [1, 0] }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: sealed.count + wrapped.count + 64)
    w.put(raw: Self.magic)
    w.put(Self.version)
    w.put(UInt16(wrapped.count))
    w.put(raw: wrapped)
    w.put(raw: nonce)
    w.put(string: sealed)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 6, Array(bytes[..<4]) == Self.magic else { throw FormatError(.foreign, "not a cluster file") }
    guard bytes.count <= Self.byteCountMax else { throw FormatError(.limit, "a cluster file of \(bytes.count) bytes") }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 4)
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw BytesError("cluster file version \(version)", at: 4) }
      wrapped = Array(try r.take(raw: Int(try r.take(UInt16.self))))
      nonce = Array(try r.take(raw: 12))
      sealed = try r.takeString(limit: Self.byteCountMax)
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard checksum == CRC32C.checksum(Array(bytes.dropLast(4))) else {
        throw BytesError("the cluster file does not match its checksum", at: bytes.count - 4)
      }
    } catch {
      throw FormatError(error.offset == 4 ? .version : .damaged, error.message, at: error.offset)
    }
  }
}

/// The datagrams' keys and how far a rotation is: stored by each node, and in the control store for all.
public struct DatagramRingContents: Sendable, Equatable {
  public static let keysMax = 8
  /// Grows with every step of a rotation.
  public var generation: UInt64
  public var primary: UInt32
  /// When the primary key became that.
  public var since: UnixMicroseconds
  /// 32 bytes each.
  public var keys: [UInt32: [UInt8]]

  public init(generation: UInt64, primary: UInt32, since: UnixMicroseconds, keys: [UInt32: [UInt8]]) {
    self.generation = generation
    self.primary = primary
    self.since = since
    self.keys = keys
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 512)
    w.put(UInt8(1))
    w.put(generation)
    w.put(primary)
    w.put(since)
    w.put(UInt8(keys.count))
    for (id, key) in keys.sorted(by: { $0.key < $1.key }) {
      w.put(id)
      w.put(raw: key)
    }
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do throws(BytesError) {
      guard try r.take(UInt8.self) == 1 else { throw BytesError("a ring of another version", at: 0) }
      generation = try r.take()
      primary = try r.take()
      since = try r.take()
      let count = Int(try r.take(UInt8.self))
      guard count <= Self.keysMax else { throw BytesError("\(count) keys", at: r.offset - 1) }
      keys = [:]
      for _ in 0..<count {
        let id: UInt32 = try r.take()
        guard keys.updateValue(Array(try r.take(raw: 32)), forKey: id) == nil else {
          throw BytesError("key \(id) twice", at: r.offset - 36)
        }
      }
      try r.finish()
      guard keys[primary] != nil else { throw BytesError("the primary key is not in the ring", at: 9) }
    } catch {
      throw FormatError(.damaged, error.message, at: error.offset)
    }
  }
}

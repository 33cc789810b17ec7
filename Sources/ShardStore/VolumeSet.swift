// One account's volumes: where each chunk of each recording lies, and how the next is appended.
//
// Appends of all uploads happen one after the other under one lock, so a sync that makes a chunk durable also covers
// every chunk before it: no hole can lie in front of what was acknowledged. The index is read from the entries' headers
// when it is first wanted.

import Base
import Disk
import Formats
import Threads

final class VolumeSet: Sendable {
  struct Place: Sendable {
    var volume: UInt32
    var offset: UInt64
    var frameBytes: Int
    var originalBytes: Int
    var isLast: Bool
  }

  struct Volume {
    var file: any DiskFile
    let sharedSync = SharedSync<DiskError>()
    var end: UInt64
    /// Bytes of entries that some recording needs.
    var live: UInt64 = 0
  }

  struct State {
    var volumes: [UInt32: Volume] = [:]
    /// Places by chunk number.
    var places: [RecordingID: [UInt32: Place]] = [:]
    var current: UInt32?
    /// `current` comes from an earlier opening, and nobody has looked whether it is durable.
    var isInherited = false
    var scanned = false
    /// Where a volume stopped to parse although more bytes follow.
    var damage: [(path: String, offset: UInt64)] = []
  }

  private let disk: any Disk
  private let directory: String
  private let account: AccountID
  private let volumeBytes: UInt64
  /// Whether new volumes take writes past the page cache.
  private let direct: Bool
  let state = Lock(State())

  init(disk: any Disk, directory: String, account: AccountID, volumeBytes: Int, direct: Bool = false) {
    self.direct = direct
    self.disk = disk
    self.directory = directory
    self.account = account
    self.volumeBytes = UInt64(volumeBytes)
  }

  func path(_ number: UInt32) -> String { "\(directory)/\(VolumeHeader.fileName(number))" }

  /// Appends one frame; durable after `sync` of the volume that it names.
  func append(_ frame: consuming [UInt8], _ header: ChunkHeader) throws(StoreError) -> UInt32 {
    let frameBytes = frame.count
    let entry = VolumeEntry.encode(frame)
    return try state.with { s throws(StoreError) in
      try scan(&s)
      let number = try volumeForAppend(&s)
      let offset = s.volumes[number]!.end
      try storing { try s.volumes[number]!.file.write(entry, at: offset) }
      take(entry.count, frameBytes: frameBytes, header, in: number, &s)
      return number
    }
  }

  /// Where an entry will lie whose bytes come later: whoever asks writes them before anything relies on them.
  struct Reserved {
    let number: UInt32
    let file: any DiskFile
    let offset: UInt64
  }

  func reserve(_ entryBytes: Int, frameBytes: Int, _ header: ChunkHeader) throws(StoreError) -> Reserved {
    try state.with { s throws(StoreError) in
      try scan(&s)
      let number = try volumeForAppend(&s)
      let reserved = Reserved(number: number, file: s.volumes[number]!.file, offset: s.volumes[number]!.end)
      take(entryBytes, frameBytes: frameBytes, header, in: number, &s)
      return reserved
    }
  }

  private func take(_ entryBytes: Int, frameBytes: Int, _ header: ChunkHeader, in number: UInt32, _ s: inout State) {
    let offset = s.volumes[number]!.end
    s.volumes[number]!.end = offset + UInt64(entryBytes)
    s.volumes[number]!.live += UInt64(entryBytes)
    s.places[header.recording, default: [:]][header.number] = Place(
      volume: number, offset: offset, frameBytes: frameBytes, originalBytes: Int(header.originalBytes),
      isLast: header.isLast)
  }

  private func volumeForAppend(_ s: inout State) throws(StoreError) -> UInt32 {
    if s.isInherited { try settleCurrent(&s) }
    if let current = s.current, s.volumes[current]!.end < volumeBytes { return current }
    let number = (s.volumes.keys.max() ?? 0) + 1
    let path = path(number)
    let file = try storing {
      let file = try disk.open(path, .createOrOpen, direct: direct)
      try file.truncate(to: 0)
      try file.write(VolumeHeader(account: account, number: number).encode(), at: 0)
      try file.sync()
      try disk.syncDirectory(directory)
      return file
    }
    s.volumes[number] = Volume(file: file, end: UInt64(VolumeHeader.byteCount))
    s.current = number
    return number
  }

  /// A process before this one may have ended after a failed sync: what it wrote is only in the cache, and nothing durable
  /// may lie behind it. A small volume is written again; a larger one takes no more chunks.
  private func settleCurrent(_ s: inout State) throws(StoreError) {
    s.isInherited = false
    guard let current = s.current, let volume = s.volumes[current] else { return }
    guard volume.end <= Self.rewriteBytesMax else {
      s.current = nil
      return
    }
    do {
      try storing {
        try volume.file.write(try volume.file.read(Int(volume.end), at: 0), at: 0)
        try volume.file.sync()
        try disk.syncDirectory(directory)
      }
    } catch {
      s.current = nil
      throw error
    }
  }

  private static let rewriteBytesMax: UInt64 = 1 << 20

  /// Makes everything appended to `numbers` durable. After a failure those volumes take no more chunks.
  func sync(_ numbers: Set<UInt32>) throws(StoreError) {
    let volumes = state.with { s in numbers.compactMap { s.volumes[$0] } }
    do throws(DiskError) {
      for volume in volumes { try volume.sharedSync.run { () throws(DiskError) in try volume.file.sync() } }
    } catch {
      state.with { s in if let current = s.current, numbers.contains(current) { s.current = nil } }
      throw StoreError(error)
    }
  }

  /// Forgets the chunks of an upload that will not be finished.
  func forget(_ recording: RecordingID) {
    state.with { s in
      for place in (s.places.removeValue(forKey: recording) ?? [:]).values {
        s.volumes[place.volume]?.live -= UInt64(place.frameBytes + VolumeEntry.checksumBytes)
      }
    }
  }

  /// The chunks of a recording in order; nil when it is not all there.
  func chunks(of recording: RecordingID) throws(StoreError) -> [Place]? {
    try state.with { s throws(StoreError) in
      try scan(&s)
      guard let places = s.places[recording] else { return nil }
      let sorted = places.sorted { $0.key < $1.key }
      guard sorted.enumerated().allSatisfy({ $0.offset == Int($0.element.key) }), sorted.last!.value.isLast else {
        return nil
      }
      return sorted.map(\.value)
    }
  }

  /// The frame at `place` as it lies there: for who opens it, which proves more than its checksum.
  func readUnchecked(_ place: Place) throws(StoreError) -> [UInt8] {
    try storing { [file = try file(place)] in try file.read(place.frameBytes, at: place.offset) }
  }

  private func file(_ place: Place) throws(StoreError) -> any DiskFile {
    guard let file = state.with({ $0.volumes[place.volume]?.file }) else {
      throw StoreError(.notFound, "volume \(place.volume) is gone")
    }
    return file
  }

  /// The frame at `place`, checked against its checksum.
  func read(_ place: Place) throws(StoreError) -> [UInt8] {
    let file = try file(place)
    let bytes = try storing { try file.read(place.frameBytes + VolumeEntry.checksumBytes, at: place.offset) }
    do { return try VolumeEntry.decode(bytes) } catch {
      throw StoreError(.damaged, "\(path(place.volume)) is damaged at byte \(place.offset): \(error.message)")
    }
  }

  // MARK: reading the volumes

  func scan(_ s: inout State) throws(StoreError) {
    guard !s.scanned else { return }
    let names = try storing {
      try disk.makeDirectory(directory)
      return try disk.list(directory).filter { $0.hasSuffix(".kvol") }
    }
    for name in names {
      guard let number = UInt32(name.dropLast(5)) else {
        throw StoreError(.damaged, "\(directory)/\(name) is not the name of a volume")
      }
      try scanVolume(number, isNewest: name == names.last, &s)
    }
    s.scanned = true
  }

  private func scanVolume(_ number: UInt32, isNewest: Bool, _ s: inout State) throws(StoreError) {
    let path = path(number)
    let (file, size) = try storing {
      let file = try disk.open(path, .readWrite)
      return (file, try file.size())
    }
    let head = try storing { try file.read(VolumeHeader.byteCount, at: 0) }
    do {
      let header = try VolumeHeader(head)
      guard header.account == account, header.number == number else {
        throw StoreError(.damaged, "\(path) belongs elsewhere")
      }
    } catch let error as FormatError {
      // A crash between its making and its first sync; nothing in it was ever acknowledged.
      if isNewest, head.count < VolumeHeader.byteCount || head.allSatisfy({ $0 == 0 }) { return }
      throw StoreError(error, in: path)
    } catch { throw error as! StoreError }
    var volume = Volume(file: file, end: UInt64(VolumeHeader.byteCount))
    while volume.end + UInt64(ChunkHeader.byteCount) <= size {
      let bytes = try storing { [end = volume.end] in try file.read(ChunkHeader.byteCount, at: end) }
      guard let header = try? ChunkHeader(front: bytes[...]),
        volume.end + UInt64(header.frameBytes + VolumeEntry.checksumBytes) <= size
      else { break }
      s.places[header.recording, default: [:]][header.number] = Place(
        volume: number, offset: volume.end, frameBytes: header.frameBytes, originalBytes: Int(header.originalBytes),
        isLast: header.isLast)
      let bytesTaken = UInt64(header.frameBytes + VolumeEntry.checksumBytes)
      volume.end += bytesTaken
      volume.live += bytesTaken
    }
    if volume.end < size { s.damage.append((path, volume.end)) }
    s.volumes[number] = volume
    // What a crash left behind the last whole entry may hold a part that was acknowledged and damaged later: new
    // chunks go into a new volume instead of over it.
    if isNewest, volume.end == size {
      s.current = number
      s.isInherited = true
    }
  }

  // MARK: collecting

  /// Frees the bytes of recordings that `isLive` does not know. Volumes that are mostly dead are copied and removed.
  func collect(isLive: (RecordingID) -> Bool) throws(StoreError) -> (recordings: Int, bytes: UInt64) {
    try state.with { s throws(StoreError) in
      try scan(&s)
      var freed: UInt64 = 0
      let dead = s.places.keys.filter { !isLive($0) }
      for recording in dead {
        for place in s.places.removeValue(forKey: recording)!.values {
          let bytes = UInt64(place.frameBytes + VolumeEntry.checksumBytes)
          s.volumes[place.volume]?.live -= bytes
          freed += bytes
        }
      }
      for (number, volume) in s.volumes where number != s.current && volume.live * 2 < volume.end {
        try empty(number, &s)
      }
      return (dead.count, freed)
    }
  }

  /// Copies what lives in a volume to the current one, durably, then removes it.
  private func empty(_ number: UInt32, _ s: inout State) throws(StoreError) {
    var targets: Set<UInt32> = []
    for (recording, places) in s.places {
      for (chunk, place) in places where place.volume == number {
        let entry = try storing { [file = s.volumes[number]!.file] in
          try file.read(place.frameBytes + VolumeEntry.checksumBytes, at: place.offset)
        }
        let target = try volumeForAppend(&s)
        let offset = s.volumes[target]!.end
        try storing { try s.volumes[target]!.file.write(entry, at: offset) }
        s.volumes[target]!.end += UInt64(entry.count)
        s.volumes[target]!.live += UInt64(entry.count)
        s.places[recording]![chunk]!.volume = target
        s.places[recording]![chunk]!.offset = offset
        targets.insert(target)
      }
    }
    let path = path(number)
    try storing {
      for target in targets { try s.volumes[target]!.file.sync() }
      try disk.remove(path)
      try disk.syncDirectory(directory)
    }
    s.volumes[number] = nil
  }
}

// What a round copies and in which order, and what it may remove: a pure function of two listings.
//
// A reader of the copy must find nothing that points to something that is not there yet. So packs come first, the keyring
// behind them, then runs of the log and manifests, and proofs last; what goes goes the other way round. Absence here never
// removes anything there by itself: a pack that this disk has lost is what the copy is for.

package import Base

package struct OffSitePlan: Sendable, Equatable {
  /// In the order in which files are copied.
  package enum Kind: Int, Sendable, CaseIterable, Comparable {
    case pack, keyring, run, manifest, proof

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// Never written again under the same name.
    var isFinal: Bool { self == .pack || self == .manifest }
    /// May change and keep its length.
    var isMutable: Bool { self == .keyring || self == .proof }
  }

  package struct File: Sendable, Equatable {
    /// Below the archive's directory.
    package var path: String
    package var bytes: UInt64
    package var kind: Kind

    /// Nil for a file that is not copied: unfinished ones, exports, notes.
    package init?(path: String, bytes: UInt64) {
      guard let kind = OffSitePlan.kind(of: path) else { return nil }
      self.path = path
      self.bytes = bytes
      self.kind = kind
    }
  }

  /// By kind.
  package var uploads: [File] = []
  /// Paths, in the order in which they go.
  package var removals: [String] = []
  /// Bytes of `uploads`, without what may turn out to be there.
  package var bytes: UInt64 { uploads.reduce(0) { $0 + ($1.kind.isMutable ? 0 : $1.bytes) } }

  /// `there` is what lies under the copy's prefix, by path. With `border` what the window has left behind goes as well:
  /// whoever gives it has made sure that what lies here gives back every promised moment by itself.
  package init(here: [File], there: [String: UInt64], border: UnixMicroseconds?) {
    uploads = here.filter { $0.kind.isMutable || there[$0.path] != $0.bytes }
      .sorted { ($0.kind, $0.path) < ($1.kind, $1.path) }
    guard let border, here.contains(where: { $0.kind == .manifest }) else { return }
    let known = Set(here.map(\.path))
    let gone = there.keys.filter { !known.contains($0) }.compactMap { File(path: $0, bytes: 0) }
    // Somebody else's snapshot, or one that was lost here: what it needs is not known.
    let isForeign = gone.contains { file in
      file.kind == .manifest && Self.createdAt(file.path).map { $0 >= border } ?? true
    }
    guard !isForeign else { return }
    removals = gone.filter { $0.kind != .keyring }.sorted { ($1.kind, $0.path) < ($0.kind, $1.path) }.map(\.path)
  }

  /// Of a manifest, by its name.
  private static func createdAt(_ path: String) -> UnixMicroseconds? {
    guard let name = path.split(separator: "/").last, let dash = name.firstIndex(of: "-") else { return nil }
    return UnixMicroseconds(name[..<dash])
  }

  static func kind(of path: String) -> Kind? {
    if path == "keyring" { return .keyring }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    switch (parts[0], parts[1]) {
    case ("packs", let name) where name.hasSuffix(".kpak"): return .pack
    case ("log", let name) where name.hasSuffix(".klrg"): return .run
    case ("manifests", let name) where name.hasSuffix(".kman"): return .manifest
    case ("manifests", let name) where name.hasSuffix(".kman.proof"): return .proof
    default: return nil
    }
  }
}

import OffSite
import Testing

@Suite("what a round copies") struct PlanTests {
  static let pack = "packs/\(String(repeating: "a", count: 32)).kpak"
  static let run = "log/0000000000000001.klrg"
  static func manifest(_ at: Int) -> String { "manifests/\(at)-\(String(repeating: "b", count: 32)).kman" }

  static func file(_ path: String, _ bytes: UInt64 = 10) throws -> OffSitePlan.File {
    try #require(OffSitePlan.File(path: path, bytes: bytes))
  }

  @Test("packs before the keyring before runs before manifests before proofs, and nothing else")
  func order() throws {
    let manifest = Self.manifest(1_000_000_000_000_000)
    let here = try [manifest + ".proof", manifest, Self.run, "keyring", Self.pack].map { try Self.file($0) }
    let plan = OffSitePlan(here: here, there: [:], border: nil)
    #expect(plan.uploads.map(\.path) == [Self.pack, "keyring", Self.run, manifest, manifest + ".proof"])
    for path in ["packs/x.kpak.new", "exports/a/b", "verify.kvcr", "packs/a/b.kpak", "keyring.new", "../keyring"] {
      #expect(OffSitePlan.File(path: path, bytes: 1) == nil, "\(path)")
    }
    // What is there in full is not copied again; what may have changed in place is.
    let there: [String: UInt64] = [Self.pack: 10, Self.run: 9, manifest: 10, "keyring": 10]
    let next = OffSitePlan(here: here, there: there, border: nil)
    #expect(next.uploads.map(\.path) == ["keyring", Self.run, manifest + ".proof"])
  }

  @Test("what expired here goes in reverse; without a border, or with a snapshot that is not known here, nothing does")
  func removals() throws {
    let (old, new) = (Self.manifest(1_000_000_000_000_000), Self.manifest(2_000_000_000_000_000))
    let here = try [new, "keyring"].map { try Self.file($0) }
    let there: [String: UInt64] = [Self.pack: 1, Self.run: 1, old: 1, old + ".proof": 1, new: 10, "keyring": 10]
    let plan = OffSitePlan(here: here, there: there, border: 1_500_000_000_000_000)
    #expect(plan.removals == [old + ".proof", old, Self.run, Self.pack])
    #expect(OffSitePlan(here: here, there: there, border: nil).removals == [])
    // Inside the window: lost here, or another node's.
    #expect(OffSitePlan(here: here, there: there, border: 900_000_000_000_000).removals == [])
    // An archive that has gone, or was never there, removes nothing.
    let none = try OffSitePlan(here: [Self.file("keyring")], there: there, border: 3_000_000_000_000_000)
    #expect(none.removals == [])
    let odd: [String: UInt64] = ["manifests/x-y.kman": 1, Self.pack: 1, "somebody/else": 1]
    #expect(OffSitePlan(here: here, there: odd, border: 3_000_000_000_000_000).removals == [])
  }
}

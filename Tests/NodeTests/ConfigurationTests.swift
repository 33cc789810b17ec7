// A configuration is read whole or refused with its place and the nearest right name.

import Base
import Node
import Testing

@Suite("configuration")
struct ConfigurationTests {
  private func read(_ text: String, _ environment: [String: String] = [:]) throws -> NodeConfiguration {
    try NodeConfiguration(text: text, source: "node.toml", directory: "/etc/komora", environment: environment)
  }

  private func refusal(_ text: String, _ environment: [String: String] = [:]) -> ConfigurationError? {
    do {
      _ = try read(text, environment)
      return nil
    } catch {
      return error as? ConfigurationError
    }
  }

  @Test("what is left out has its default, and directories lie beside the data")
  func defaults() throws {
    let configuration = try read("[node]\ndata = \"/var/lib/komora/data\"\n")
    #expect(configuration.listen.api == ListenAddress(host: "127.0.0.1", port: 7400))
    #expect(configuration.paths.archive == "/var/lib/komora/archive")
    #expect(configuration.keys == .file("/var/lib/komora/keys/kek"))
    #expect(configuration.timers.snapshotFrom == 120)
    #expect(configuration.limits == NodeConfiguration.NodeLimits())
    #expect(configuration.timers == NodeConfiguration.Timers())
  }

  @Test("every directory can be configured apart, relative ones from the file's directory")
  func directories() throws {
    let configuration = try read(
      """
      [node]
      data = "d"
      [paths]
      archive = "/mnt/archive"
      temporary = "tmp"
      keys = "/mnt/keys"
      """)
    #expect(configuration.paths.data == "/etc/komora/d")
    #expect(configuration.paths.archive == "/mnt/archive")
    #expect(configuration.paths.temporary == "/etc/komora/tmp")
    #expect(configuration.keys == .file("/mnt/keys/kek"))
  }

  @Test("a misspelt key is refused with its line and the nearest right name")
  func misspeltKey() {
    let error = refusal("[node]\ndata = \"d\"\n\n[timers]\n# hours\nretntion = \"7d\"\n")
    #expect(error?.line == 6)
    #expect(error?.description == "node.toml:6: unknown key in [timers] `retntion`: did you mean `retention`?")
  }

  @Test("a misspelt section is refused with its line and the nearest right name")
  func misspeltSection() {
    let error = refusal("[node]\ndata = \"d\"\n[lisen]\napi = \"127.0.0.1:1\"\n")
    #expect(error?.line == 3)
    #expect(error?.message.contains("did you mean `listen`?") == true)
  }

  @Test("a name that is near nothing gets no suggestion")
  func farName() {
    #expect(refusal("[node]\ndata = \"d\"\nzzzzzzzzzz = 1\n")?.message.contains("did you mean") == false)
  }

  @Test(
    "a wrong unit or kind is refused with its line",
    arguments: [
      ("[timers]\nretention = 7", "duration"), ("[timers]\nretention = \"7\"", "duration"),
      ("[timers]\nretention = \"7MiB\"", "duration"), ("[timers]\nretention = \"99999999999d\"", "duration"),
      ("[limits]\ntemporary_bytes = \"1h\"", "size"), ("[limits]\ntemporary_bytes = 1024", "size"),
      ("[limits]\njobs_count = \"many\"", "whole number"), ("[limits]\njobs_count = 0", "from 1"),
      ("[timers]\nsnapshot_from = \"2:00\"", "time of day"), ("[timers]\nsnapshot_from = \"24:01\"", "time of day"),
      ("[listen]\napi = \"7400\"", "address"), ("[listen]\napi = \"::1:7400\"", "address"),
      ("[listen]\napi = \"host:70000\"", "address"), ("[keys]\nprovider = \"flie\"", "did you mean \"file\"?"),
    ])
  func wrongKind(_ text: String, _ expected: String) {
    let error = refusal(text + "\n[node]\ndata = \"d\"\n")
    #expect(error?.line == 2)
    #expect(error?.message.contains(expected) == true, "\(error?.description ?? "accepted")")
  }

  @Test("text that is not TOML is refused with its line")
  func malformed() { #expect(refusal("[node]\ndata = \"d\"\nname = \n")?.line == 3) }

  @Test("an environment variable wins over the file, and an unknown one is refused with the nearest")
  func environment() throws {
    let text = "[node]\ndata = \"d\"\nname = \"one\"\n"
    #expect(try read(text, ["KOMORA_NODE_NAME": "two", "KOMORA_URL": "x", "PATH": "y"]).name == "two")
    #expect(try read(text, ["KOMORA_TIMERS_RETENTION": "14d"]).timers.retention == .seconds(14 * 86_400))
    let error = refusal(text, ["KOMORA_TIMERS_RETENTON": "14d"])
    #expect(error?.description == "KOMORA_TIMERS_RETENTON: unknown variable: did you mean KOMORA_TIMERS_RETENTION?")
    #expect(refusal(text, ["KOMORA_TIMERS_RETENTION": "14"])?.source == "KOMORA_TIMERS_RETENTION")
  }

  @Test("rules over several keys hold")
  func relations() {
    #expect(refusal("[node]\nname = \"x\"\n")?.message.contains("node.data") == true)
    #expect(refusal("[node]\ndata = \"d\"\n[timers]\nsnapshot_from = \"05:00\"\n") != nil)
    #expect(refusal("[node]\ndata = \"d\"\n[timers]\nretention = \"1h\"\n") != nil)
    #expect(
      refusal("[node]\ndata = \"d\"\n[keys]\nprovider = \"passphrase\"\n")?.message.contains("passphrase_file") == true)
  }

  @Test("what a cluster wants is read, and its rules hold")
  func cluster() throws {
    let start = "[node]\ndata = \"d\"\n"
    let outside = "endpoints = [\"https://h:2379\"]\nca = \"c\"\ncert = \"d\"\nkey = \"k\"\n"
    let managed = try read(
      start + "[cluster]\nname = \"prod-1\"\nseeds = [\"10.0.0.1:7402\"]\nadvertise = \"10.0.0.2\"\n"
        + "[control]\nengine = \"etcd\"\nmanaged = true\n")
    #expect(managed.control.engine == .etcd && managed.control.isManaged && managed.cluster.name == "prod-1")
    #expect(managed.cluster.seeds == ["10.0.0.1:7402"] && managed.cluster.advertise == "10.0.0.2")
    #expect(try read(start + "[control]\nengine = \"etcd\"\n" + outside).control.endpoints == ["https://h:2379"])
    for (text, words) in [
      ("[control]\nengine = \"etcd\"\n", "alone"), ("[control]\nmanaged = true\n", "alone"),
      ("[control]\nengine = \"etcd\"\nmanaged = true\n" + outside, "alone"),
      ("[control]\n" + outside, "alone"),
      ("[control]\nengine = \"etcd\"\nendpoints = [\"https://h:1\"]\n", "control.ca"),
      ("[cluster]\nname = \"Prod\"\n", "cluster.name"), ("[timers]\ninvitation_life = \"16min\"\n", "invitation_life"),
      ("[timers]\ncaretaker_lease = \"2s\"\n", "caretaker_interval"),
      ("[timers]\nprobe_timeout = \"150ms\"\n", "probe"), ("[tls]\nca = \"c\"\n", "tls.cert"),
    ] {
      #expect(refusal(start + text)?.message.contains(words) == true, "\(text) \(refusal(start + text)?.message ?? "")")
    }
  }

  @Test("every key of the schema is read under its own name, from file and environment alike")
  func schema() throws {
    for key in ConfigurationSchema.keys where key.path != "node.data" {
      // The default of a key, given again by a variable, changes nothing.
      guard let standard = key.standard, !standard.isEmpty else { continue }
      let text = "[node]\ndata = \"d\"\n"
      #expect(try read(text, [key.variable: standard]) == read(text), "\(key.path)")
    }
  }

  @Test("what is written is read back the same")
  func roundTrip() throws {
    var configuration = NodeConfiguration(directory: "/a \"quoted\" \\ place")
    configuration.name = "eu-1"
    configuration.listen.s3 = ListenAddress(host: "::1", port: 9)
    configuration.adminTokenFile = "/token"
    configuration.tls = .init(apiCertificate: "/c.pem", apiKey: "/k.pem")
    #expect(try read(configuration.toml) == configuration)
  }

  @Test("mutated configurations are read or refused, never more")
  func mutations() throws {
    let start = Array(NodeConfiguration(directory: "/var/lib/komora").toml.utf8)
    var random = Seeded(seed: 5)
    for _ in 0..<3_000 {
      var bytes = start
      for _ in 0...random.below(4) {
        let at = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[at] = UInt8(random.below(128))
        case 1: bytes.remove(at: at)
        default: bytes.insert(contentsOf: Array("[]=\"\\\n#'.".utf8).prefix(random.below(9) + 1), at: at)
        }
      }
      do {
        _ = try read(String(decoding: bytes, as: UTF8.self))
      } catch {
        #expect(error is ConfigurationError)
      }
    }
  }
}

// swift-tools-version: 6.2
import PackageDescription

// One list of settings for every target: Swift 6 mode, warnings are errors, nothing implicit about existentials,
// imports or isolation. Targets that own C handles or shared memory are in `unsafeTargets`; everywhere else the
// compiler refuses an unsafe construct that is not marked.
let house: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
let strict: [SwiftSetting] = house + [.strictMemorySafety()]

func product(_ name: String, _ package: String) -> Target.Dependency { .product(name: name, package: package) }

let package = Package(
  name: "komora",
  products: [
    .executable(name: "komora", targets: ["komora"]), .library(name: "KomoraClient", targets: ["KomoraClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
  ],
  targets: [
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
    .systemLibrary(name: "CFLAC", pkgConfig: "flac", providers: [.apt(["libflac-dev"])]),
    .systemLibrary(name: "CLibuv", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),

    .target(name: "Base", swiftSettings: strict),
    .target(name: "Formats", dependencies: ["Base"], swiftSettings: strict),
    .target(name: "Membership", dependencies: ["Base", "Formats"], swiftSettings: strict),
    .target(name: "Control", dependencies: ["Base", "Formats"], swiftSettings: strict),
    .target(name: "Replication", dependencies: ["Base", "Formats"], swiftSettings: strict),
    .target(name: "Threads", dependencies: ["Base"], swiftSettings: house),
    .target(name: "Disk", dependencies: ["Base", "Threads"], swiftSettings: house),
    .target(name: "OpenSSL", dependencies: ["COpenSSL", "Base"], swiftSettings: house),
    .target(name: "UVLoop", dependencies: ["CLibuv", "Threads"], swiftSettings: house),
    .target(name: "Fabric", dependencies: ["Base", "Formats", "OpenSSL", "UVLoop"], swiftSettings: house),
    .target(
      name: "KomoraClient", dependencies: ["Base", "Formats", "Fabric", "OpenSSL", "Threads", "UVLoop"],
      swiftSettings: house),
    .target(name: "SQLite", dependencies: ["CSQLite", "Base", "Threads"], swiftSettings: house),
    .target(
      name: "AtRest", dependencies: ["CZstd", "CArgon2", "CFLAC", "OpenSSL", "Base", "Formats", "Disk", "Threads"],
      swiftSettings: house),
    .target(
      name: "ShardStore", dependencies: ["Base", "Formats", "Threads", "Disk", "SQLite", "AtRest", "OpenSSL"],
      swiftSettings: house),
    .target(
      name: "Backup",
      dependencies: ["Base", "Formats", "Threads", "Disk", "SQLite", "AtRest", "ShardStore", "OpenSSL"],
      swiftSettings: house),
    .target(name: "SigV4", dependencies: ["Base", "OpenSSL"], swiftSettings: strict),
    .target(
      name: "OffSite",
      dependencies: [
        "Base", "Disk", "OpenSSL", "SigV4", "Threads", product("AsyncHTTPClient", "async-http-client"),
        product("NIOCore", "swift-nio"), product("NIOHTTP1", "swift-nio"), product("NIOSSL", "swift-nio-ssl"),
      ], swiftSettings: house),
    .target(
      name: "ControlStores",
      dependencies: [
        "Base", "Formats", "SQLite", "AtRest", "OpenSSL", "Threads",
        product("AsyncHTTPClient", "async-http-client"), product("NIOCore", "swift-nio"),
        product("NIOHTTP1", "swift-nio"), product("NIOPosix", "swift-nio"), product("NIOSSL", "swift-nio-ssl"),
      ],
      swiftSettings: house),
    .target(
      name: "Node",
      dependencies: [
        "Base", "Formats", "Threads", "Disk", "SQLite", "AtRest", "OpenSSL", "ShardStore", "Backup", "ControlStores",
        "Control", "Membership", "OffSite", "Replication", "Fabric", "UVLoop",
        product("Logging", "swift-log"), product("Metrics", "swift-metrics"),
        product("CoreMetrics", "swift-metrics"),
        product("ServiceLifecycle", "swift-service-lifecycle"),
      ], swiftSettings: house),
    .target(
      name: "API",
      dependencies: [
        "Base", "Formats", "Threads", "Node", "AtRest", "Backup", "Fabric", "ShardStore", "SQLite", "SigV4", "OpenSSL",
        "UVLoop", product("Hummingbird", "hummingbird"), product("HummingbirdCore", "hummingbird"),
        product("HummingbirdTLS", "hummingbird"),
        product("HummingbirdHTTP2", "hummingbird"), product("HTTPTypes", "swift-http-types"),
        product("NIOCore", "swift-nio"), product("NIOHTTPTypes", "swift-nio-extras"),
        product("NIOSSL", "swift-nio-ssl"), product("Logging", "swift-log"), product("Metrics", "swift-metrics"),
        product("ServiceLifecycle", "swift-service-lifecycle"),
      ], swiftSettings: house),
    .executableTarget(
      name: "komora",
      dependencies: [
        "API", "Node", "Backup", "Base", "Formats", "AtRest", "Disk", "OffSite", "ShardStore", "SQLite", "OpenSSL",
        "SigV4", "Threads",
        product("ArgumentParser", "swift-argument-parser"), product("AsyncHTTPClient", "async-http-client"),
        product("X509", "swift-certificates"), product("Crypto", "swift-crypto"), product("SwiftASN1", "swift-asn1"),
        product("NIOCore", "swift-nio"), product("NIOFoundationCompat", "swift-nio"),
        product("NIOHTTP1", "swift-nio"), product("NIOSSL", "swift-nio-ssl"), product("Logging", "swift-log"),
        product("CoreMetrics", "swift-metrics"), product("UnixSignals", "swift-service-lifecycle"),
        product("ServiceLifecycle", "swift-service-lifecycle"),
      ], swiftSettings: house),

    .target(
      name: "Simulator", dependencies: ["Base", "Threads", "Disk"], path: "Tests/Simulator", swiftSettings: house),
    .target(
      name: "ClusterSim", dependencies: ["Base", "Formats", "Membership", "Control", "Replication", "Simulator"],
      path: "Tests/ClusterSim", swiftSettings: house),
    .executableTarget(
      name: "komora-cluster-sim", dependencies: ["ClusterSim", "Membership", "Control", "Base"],
      path: "Tests/komora-cluster-sim",
      swiftSettings: house),
    .executableTarget(
      name: "komora-bench",
      dependencies: [
        "KomoraClient", "Formats", "ShardStore", "Base", "Disk", "AtRest", "OpenSSL", "SQLite", "Threads",
      ],
      path: "Tests/komora-bench", swiftSettings: house),
    .target(
      name: "StoreSim",
      dependencies: [
        "Base", "Formats", "Threads", "Disk", "SQLite", "AtRest", "OpenSSL", "ShardStore", "Simulator",
      ], path: "Tests/StoreSim", swiftSettings: house),
    .executableTarget(
      name: "komora-sim", dependencies: ["StoreSim", "ShardStore", "Base"], path: "Tests/komora-sim",
      swiftSettings: house),
    .target(
      name: "Torture",
      dependencies: [
        "CZstd", "ControlStores", "Base", "Formats", "Threads", "Disk", "SQLite", "AtRest", "OpenSSL", "ShardStore",
        "Backup", "Simulator", "Fabric", "UVLoop",
      ], path: "Tests/komora-torture/Torture", swiftSettings: house),
    .executableTarget(
      name: "komora-torture", dependencies: ["Torture"], path: "Tests/komora-torture/Command", swiftSettings: house),
    .executableTarget(
      name: "komora-fabric-bench", dependencies: ["Fabric", "Base", "Formats", "OpenSSL", "UVLoop"],
      path: "Tests/komora-fabric-bench", swiftSettings: house),
    .testTarget(name: "BaseTests", dependencies: ["Base"], swiftSettings: house),
    .testTarget(name: "FormatsTests", dependencies: ["Formats", "Base"], swiftSettings: house),
    .testTarget(name: "MembershipTests", dependencies: ["Base", "Formats", "Membership"], swiftSettings: house),
    .testTarget(name: "ControlTests", dependencies: ["Base", "Formats", "Control"], swiftSettings: house),
    .testTarget(name: "ReplicationTests", dependencies: ["Base", "Formats", "Replication"], swiftSettings: house),
    .testTarget(
      name: "ClusterSimTests", dependencies: ["Base", "Membership", "Control", "ClusterSim", "Simulator"],
      swiftSettings: house),
    .testTarget(name: "UVLoopTests", dependencies: ["UVLoop", "Base", "Threads"], swiftSettings: house),
    .testTarget(
      name: "FabricTests", dependencies: ["Fabric", "Base", "Formats", "OpenSSL", "UVLoop"], swiftSettings: house),
    .testTarget(name: "ThreadsTests", dependencies: ["Threads"], swiftSettings: house),
    .testTarget(name: "DiskTests", dependencies: ["Base", "Threads", "Disk", "Simulator"], swiftSettings: house),
    .testTarget(name: "OpenSSLTests", dependencies: ["OpenSSL", "Base"], swiftSettings: house),
    .testTarget(
      name: "AtRestTests", dependencies: ["AtRest", "OpenSSL", "Base", "Formats", "Disk", "Threads", "Simulator"],
      swiftSettings: house),
    .testTarget(
      name: "ShardStoreTests",
      dependencies: ["ShardStore", "Base", "Disk", "AtRest", "OpenSSL", "SQLite", "Formats", "Simulator", "Threads"],
      swiftSettings: house),
    .testTarget(
      name: "BackupTests",
      dependencies: [
        "Backup", "Simulator", "ShardStore", "Base", "Formats", "Threads", "Disk", "SQLite", "AtRest", "OpenSSL",
      ], swiftSettings: house),
    .testTarget(
      name: "StoreSimTests", dependencies: ["StoreSim", "ShardStore", "Base"], swiftSettings: house),
    .testTarget(
      name: "TortureTests", dependencies: ["Base", "Threads", "Disk", "SQLite", "ShardStore", "Simulator", "Torture"],
      swiftSettings: house),
    .testTarget(
      name: "APITests",
      dependencies: [
        "SigV4", "API", "Base", "ShardStore", "SQLite", "Threads", product("HTTPTypes", "swift-http-types"),
      ],
      swiftSettings: house),
    .testTarget(
      name: "KomoraCommandTests",
      dependencies: ["komora", "Base", "SQLite", product("ArgumentParser", "swift-argument-parser")],
      swiftSettings: house),
    .testTarget(
      name: "OffSiteTests", dependencies: ["OffSite", "Base", "Disk", "Simulator", "Threads"], swiftSettings: house),
    .testTarget(
      name: "SigV4Tests", dependencies: ["SigV4", "Base", "OpenSSL"], resources: [.copy("Vectors")],
      swiftSettings: house),
    .testTarget(
      name: "ControlStoresTests", dependencies: ["ControlStores", "AtRest", "Base", "OpenSSL", "SQLite", "Threads"],
      swiftSettings: house),
    .testTarget(
      name: "NodeTests",
      dependencies: [
        "API", "KomoraClient", "Node", "Backup", "ControlStores", "AtRest", "Base", "Control", "Disk", "Fabric",
        "Formats", "OpenSSL", "Replication", "ShardStore", "SigV4", "SQLite", "Threads", "UVLoop",
        product("AsyncHTTPClient", "async-http-client"),
        product("CoreMetrics", "swift-metrics"), product("Logging", "swift-log"), product("NIOCore", "swift-nio"),
        product("NIOHTTP1", "swift-nio"), product("NIOSSL", "swift-nio-ssl"),
      ], swiftSettings: house),
  ]
)

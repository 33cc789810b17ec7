// The systemd units of a managed member: a service of its own, and the path that starts it when the node has written
// the member's configuration. So the node needs no right to start anything.

package enum EtcdUnit {
  package static let serviceName = "komora-etcd.service"
  package static let pathName = "komora-etcd.path"

  /// `directory` is that of `EtcdMemberFiles`.
  package static func service(directory: String, user: String = "komora") -> String {
    """
    # The managed etcd member of a Komora node. It is no child of the node: when the node is killed, etcd goes on.
    [Unit]
    Description=Komora's etcd member
    Documentation=https://etcd.io/docs/v3.4/
    Wants=network-online.target
    After=network-online.target time-sync.target
    ConditionPathExists=\(directory)/etcd.yaml
    # It comes back however often it ends: without it nothing can be agreed on.
    StartLimitIntervalSec=0

    [Service]
    Type=notify
    User=\(user)
    Group=\(user)
    ExecStart=/usr/bin/etcd --config-file \(directory)/etcd.yaml
    Restart=always
    RestartSec=1s
    # Until a quorum of its cluster is there it does not say that it is ready.
    TimeoutStartSec=infinity
    TimeoutStopSec=20s
    OOMScoreAdjust=-800
    LimitNOFILE=65536
    LimitCORE=0
    UMask=0077

    \(Self.sandbox(writable: directory))

    [Install]
    WantedBy=multi-user.target

    """
  }

  package static func path(directory: String) -> String {
    """
    # Starts the etcd member as soon as the node has written its configuration. One that runs is left as it is: etcd
    # reads renewed certificates by itself, and nothing else of its configuration changes while it runs.
    [Unit]
    Description=Configuration of Komora's etcd member

    [Path]
    PathExists=\(directory)/etcd.yaml
    Unit=\(serviceName)

    [Install]
    WantedBy=multi-user.target

    """
  }

  /// No privileges, no other file to write, no other address family, no other system calls than a service needs.
  static func sandbox(writable: String) -> String {
    """
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    AmbientCapabilities=
    ProtectSystem=strict
    ReadWritePaths=\(writable)
    ProtectHome=yes
    PrivateTmp=yes
    PrivateDevices=yes
    PrivateUsers=yes
    ProtectProc=invisible
    ProcSubset=pid
    ProtectClock=yes
    ProtectHostname=yes
    ProtectKernelLogs=yes
    ProtectKernelModules=yes
    ProtectKernelTunables=yes
    ProtectControlGroups=yes
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    RemoveIPC=yes
    RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallFilter=~@privileged @resources
    SystemCallErrorNumber=EPERM
    """
  }
}

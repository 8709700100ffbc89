//! A smallest scenario for every fault, in the ways that it has of acting. A fault without one
//! fails a test.

pub(super) use super::fixture::Fixture;
use super::{
    fixture::{self, PLAIN},
    host::Trace,
    symptoms::OnDisk,
};

const DOCKER: &str = "{ docker: {} }";
const POWERED: &str = "{ ext4: { size: 16MiB, interpose: block } }";
/// Of which the second is mounted by `TWO_MOUNTS`.
const TWO_POWERED: &str = "{ ext4: { size: 16MiB, interpose: block } }, more: { ext4: { size: 16MiB, interpose: block } }";
const TWO_MOUNTS: &str = "/more: more, /data";
const INTERPOSED: &str = "{ docker: { interpose: file } }";
const TMPFS: &str = "{ tmpfs: { size: 4MiB, inodes: 64 } }";
const SMALL: &str = "{ tmpfs: { size: 512KiB, inodes: 64 } }";
const EXT4: &str = "{ ext4: { size: 16MiB, inodes: 256 } }";
const LAYERS: &str = "{ ext4: { size: 512MiB, inodes: 2048 } }";
const HEAD: &str = "/opt/specimen/current.dat";
const RELEASE: &str = "/opt/specimen/releases/1.dat";

const RECORDS: &str =
    "\nworkloads: { records: { ledger: { via: { http: { service: agent } }, rate: 200/s } } }";

const LARGE_RECORDS: &str = "\nworkloads: { records: { ledger: { via: { http: { service: agent } }, rate: 200/s, length: 4096 } } }";

const DEPLOYER: &str = "\n  deployer: { image: keelhaul/specimen, args: [--config, /config/agent.conf], mounts: { /config: data }, memory: 64MiB, stop_grace: 1s }";

const DEPLOY: &str =
    "\n  - expect: [{ http: { service: deployer, method: PUT, path: /config/blue, status: 200 } }]";

/// Another process beside the main one.
const ANOTHER: &str = "
  - exec: { service: agent, command: [/keelhaul, specimen, --data, /tmp/another, --listen, \"127.0.0.1:9090\"], exit_code: 137, timeout: 60s, background: true }
    as: another
  - expect: [{ tcp: { service: agent, port: 9090 } }]";

const READ_ANEW: &str = "
  - inject: { drop-cache: { target: \"agent:/data/current.dat\" } }
  - expect: [{ file: { service: agent, path: /data/current.dat, content: \".\" } }]
    within: 5s";

/// Likewise, to an engine of the scenario's own.
const ENGINE: Fixture =
    Fixture { volume: LAYERS, mount: "/var/lib/docker", image: fixture::ENGINE, ..PLAIN };

const fn state(
    (fault, way): (&'static str, &'static str),
    (volume, mount): (&'static str, &'static str),
    inject: &'static str,
    trace: Trace,
) -> Fixture {
    Fixture { fault, way, volume, mount, inject, trace, lasts: true, ..PLAIN }
}

/// One whose interposer comes under the service while it runs: somebody must open a file, or what is open
/// escapes it.
const fn inserted(fault: &'static str, inject: &'static str, trace: Trace) -> Fixture {
    Fixture { beside: RECORDS, ..state((fault, "inserted"), (DOCKER, "/data"), inject, trace) }
}

/// One that strikes the filesystem's own requests to a disk of ours: somebody must write and sync.
const fn struck(fault: &'static str, inject: &'static str, trace: Trace) -> Fixture {
    Fixture { beside: RECORDS, ..state((fault, ""), (POWERED, "/data"), inject, trace) }
}

const fn event(fault: &'static str, inject: &'static str) -> Fixture {
    let (volume, mount, trace) = (DOCKER, "/data", Trace::Nothing);
    Fixture { fault, volume, mount, inject, trace, ..PLAIN }
}

/// Every way of every fault.
pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        // somebody must look at a file
        beside: RECORDS,
        ..state(
            ("attribute-override", ""),
            (INTERPOSED, "/data"),
            "{ target: \"agent:/data\", uid: 65534 }",
            Trace::Owner("/data", 65534),
        )
    },
    Fixture {
        // somebody must read what is not in the page cache
        then: READ_ANEW,
        ..struck("bit-rot", "{ target: \"agent:/data\" }", Trace::Disk("/data", OnDisk::Rots))
    },
    struck("block-error", "{ target: \"agent:/data\" }", Trace::Disk("/data", OnDisk::Fails)),
    struck(
        "block-latency",
        "{ target: \"agent:/data\", latency: 800ms }",
        Trace::Disk("/data", OnDisk::TakesLong),
    ),
    struck("block-stall", "{ target: \"agent:/data\" }", Trace::Disk("/data", OnDisk::Hangs)),
    state(
        ("broken-hardlinks", "copy-and-replace"),
        (DOCKER, "/data"),
        "{ target: \"agent:/opt/specimen/current.dat\", of: /opt/specimen/releases/1.dat, mode: copy-and-replace }",
        Trace::Untied(HEAD, RELEASE),
    ),
    state(
        ("broken-hardlinks", "copy-up"),
        (DOCKER, "/data"),
        "{ target: \"agent:/opt/specimen/current.dat\", of: /opt/specimen/releases/1.dat, mode: copy-up }",
        Trace::Untied(HEAD, RELEASE),
    ),
    state(
        ("broken-hardlinks", "cross-mount"),
        (DOCKER, "/data"),
        "{ target: \"agent:/opt/specimen/releases\", mode: cross-mount }",
        // a first mount where there was none
        Trace::Mounted("/opt/specimen/releases"),
    ),
    state(
        ("cache-pollution", ""),
        (EXT4, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Held("stream"),
    ),
    state(("clock-skew", ""), (DOCKER, "/data"), "{ target: agent, by: +1h }", Trace::OtherClock),
    event("commit-and-recreate", "{ target: agent }"),
    event("copy-up", "{ target: \"agent:/opt/specimen/releases/1.dat\" }"),
    state(
        ("corruption", ""),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Mangled("/data/tried"),
    ),
    event("crash", "{ target: agent }"),
    Fixture {
        // somebody must change what the service looks at
        service: ", args: [--config, /config/agent.conf, --config-poll, 100ms]",
        beside: DEPLOYER,
        then: DEPLOY,
        ..state(
            ("delayed-visibility", ""),
            (INTERPOSED, "/config"),
            "{ target: \"agent:/config\", by: 2s }",
            Trace::Nothing,
        )
    },
    Fixture {
        beside: "\n  controller: { image: keelhaul/specimen, memory: 64MiB, stop_grace: 1s }",
        ..state(
            ("dependency-delay", ""),
            (DOCKER, "/data"),
            "{ target: agent, on: controller }",
            // the process that the look would be from was restarted
            Trace::Nothing,
        )
    },
    state(("disconnect", ""), (DOCKER, "/data"), "{ target: agent }", Trace::Detached),
    state(
        ("disk-full", "tmpfs"),
        (TMPFS, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Full("/data"),
    ),
    // no more is free than verification tolerates elsewhere
    state(
        ("disk-full", "small-tmpfs"),
        (SMALL, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Full("/data"),
    ),
    state(
        ("disk-full", "ext4"),
        (EXT4, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Full("/data"),
    ),
    Fixture {
        // somebody must write and sync
        beside: RECORDS,
        ..state(
            ("fsync-error", ""),
            (INTERPOSED, "/data"),
            "{ target: \"agent:/data\" }",
            Trace::Unsyncable("/data/tried"),
        )
    },
    state(
        ("inode-exhaustion", "tmpfs"),
        (TMPFS, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Full("/data"),
    ),
    state(
        ("inode-exhaustion", "ext4"),
        (EXT4, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Full("/data"),
    ),
    // a block as large as a page: one that is written in part is whole in the cache all the same
    event("drop-cache", "{ target: \"agent:/data/current.dat\" }"),
    Fixture {
        fault: "engine-data-full",
        inject: "{ target: \"agent:/var/lib/docker\" }",
        trace: Trace::Full("/var/lib/docker"),
        lasts: true,
        ..ENGINE
    },
    Fixture { fault: "engine-kill", inject: "{ target: agent }", ..ENGINE },
    Fixture { fault: "engine-restart", inject: "{ target: agent }", ..ENGINE },
    Fixture {
        service: ", user: unique",
        ..state(
            ("inotify-exhaustion", "instances"),
            (DOCKER, "/data"),
            "{ target: agent }",
            Trace::NoInotify,
        )
    },
    Fixture {
        service: ", user: unique",
        ..state(
            ("inotify-exhaustion", "watches"),
            (DOCKER, "/data"),
            "{ target: agent, of: watches }",
            Trace::NoInotify,
        )
    },
    state(
        ("io-error", "docker"),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Unreadable("/data/journal.log"),
    ),
    state(
        ("io-error", "ext4"),
        ("{ ext4: { size: 16MiB, interpose: file } }", "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Unreadable("/data/journal.log"),
    ),
    inserted(
        "io-error",
        "{ target: \"agent:/data\", ops: [open, read, stat], insert: true }",
        Trace::Unreadable("/data/journal.log"),
    ),
    state(
        ("io-latency", ""),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\", latency: 800ms, jitter: 100ms, distribution: normal, ops: [list, read] }",
        Trace::Slow("/data/journal.log"),
    ),
    inserted(
        "io-latency",
        "{ target: \"agent:/data\", latency: 800ms, ops: [open, read, stat, xattr], insert: true }",
        Trace::Slow("/data/journal.log"),
    ),
    state(
        ("io-stall", ""),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\", ops: [read] }",
        Trace::Hangs("/data/journal.log"),
    ),
    inserted(
        "io-stall",
        "{ target: \"agent:/data\", ops: [open, read, stat], insert: true }",
        Trace::Hangs("/data/journal.log"),
    ),
    event("kill", "{ target: agent }"),
    state(
        ("label", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data\", label: \"system_u:object_r:container_file_t:s0:c998,c999\" }",
        Trace::Labelled("/data", "s0:c998,c999"),
    ),
    Fixture {
        // somebody must sync; nothing shows it before a cut
        beside: RECORDS,
        ..state(
            ("lost-fsync", ""),
            (INTERPOSED, "/data"),
            "{ target: \"agent:/data\" }",
            Trace::Nothing,
        )
    },
    state(
        ("lost-mount", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Lost("/data"),
    ),
    state(
        ("lost-write", ""),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Mangled("/data/tried"),
    ),
    // nothing shows it before a cut
    struck("lying-flush", "{ target: \"agent:/data\" }", Trace::Nothing),
    state(
        ("memory-limit", ""),
        (DOCKER, "/data"),
        "{ target: agent, limit: 32MiB }",
        Trace::MemoryBelow(64 << 20),
    ),
    struck(
        "misdirected-write",
        "{ target: \"agent:/data\" }",
        Trace::Disk("/data", OnDisk::Strays),
    ),
    state(
        ("mode", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data\", mode: \"0777\" }",
        Trace::Mode("/data", 0o777),
    ),
    state(
        ("mount-flags", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data\", set: [noexec, nodiratime] }",
        Trace::Stacked("/data"),
    ),
    state(
        ("mtime-skew", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data/journal.log\", by: +1h }",
        Trace::FromTheFuture("/data/journal.log"),
    ),
    event("oom-kill", "{ target: agent }"),
    Fixture {
        way: "process",
        first: ANOTHER,
        then: "\n  - await: another",
        ..event("oom-kill", "{ target: agent, process: \"--data /tmp/another\" }")
    },
    state(
        ("ownership", ""),
        // anyone may write to it, so that root is not let in by a capability
        ("{ tmpfs: { size: 4MiB } }", "/data"),
        "{ target: \"agent:/data\", owner: \"1001:1001\" }",
        Trace::Owner("/data", 1001),
    ),
    state(("pause", ""), (DOCKER, "/data"), "{ target: agent }", Trace::Frozen),
    struck("phantom-write", "{ target: \"agent:/data\" }", Trace::Disk("/data", OnDisk::Forgets)),
    Fixture { way: "block", volume: POWERED, ..event("power-cut", "{ target: \"agent:/data\" }") },
    Fixture {
        way: "two-disks",
        volume: TWO_POWERED,
        mount: TWO_MOUNTS,
        ..event("power-cut", "{ target: \"agent:/data\", with: [\"agent:/more\"] }")
    },
    Fixture {
        way: "file",
        // somebody must write
        beside: RECORDS,
        volume: INTERPOSED,
        ..event("power-cut", "{ target: \"agent:/data\" }")
    },
    state(
        ("quota", ""),
        ("{ btrfs: { size: 128MiB } }", "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Quota("/data"),
    ),
    state(
        ("quota", "nested"),
        ("{ btrfs: { size: 128MiB } }", "/data"),
        "{ target: \"agent:/data\", nested: true }",
        Trace::Quota("/data"),
    ),
    state(
        ("read-only", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Stacked("/data"),
    ),
    event("recreate", "{ target: agent }"),
    event("remount", "{ target: \"agent:/data\" }"),
    state(
        ("remove-file", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data/journal.log\" }",
        Trace::Missing("/data/journal.log"),
    ),
    state(
        ("replace-file", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data/journal.log\", content: \"x\" }",
        Trace::Holds("/data/journal.log", "x"),
    ),
    event("remove-volume", "{ target: \"agent:/data\" }"),
    event("restart", "{ target: agent }"),
    state(
        ("shadow-mount", ""),
        (DOCKER, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Stacked("/data"),
    ),
    state(
        ("short-write", ""),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Mangled("/data/tried"),
    ),
    state(
        ("snapshot", ""),
        ("{ btrfs: { size: 128MiB } }", "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Snapshot("/data/.snapshot"),
    ),
    Fixture {
        // somebody must have a file open
        beside: RECORDS,
        // what is opened to look for it is not stale
        ..state(
            ("stale-handle", ""),
            (INTERPOSED, "/data"),
            "{ target: \"agent:/data\" }",
            Trace::Nothing,
        )
    },
    state(("stall", ""), (EXT4, "/data"), "{ target: \"agent:/data\" }", Trace::Stalled("/data")),
    Fixture {
        // somebody must ask for the room: between two syncs, which take a while on a busy disk
        service: ", args: [--heartbeat, 10ms]",
        then: "\n  - wait: 1s",
        ..state(
            ("statfs-spoof", ""),
            (INTERPOSED, "/data"),
            "{ target: \"agent:/data\", available: 0B }",
            Trace::Full("/data"),
        )
    },
    Fixture {
        // each record needs a block that was never written
        beside: LARGE_RECORDS,
        ..struck(
            "thin-pool-full",
            "{ target: \"agent:/data\" }",
            Trace::Disk("/data", OnDisk::IsFull),
        )
    },
    state(
        ("throttle", ""),
        (EXT4, "/data"),
        "{ target: \"agent:/data\", write: 256KiB, write_ops: 20/s }",
        Trace::Throttled,
    ),
    // the process that the look would be from has ended
    state(("stop", ""), (DOCKER, "/data"), "{ target: agent }", Trace::Nothing),
    state(
        ("tmpfs-growth", ""),
        (TMPFS, "/data"),
        "{ target: \"agent:/data\", size: 8MiB }",
        Trace::Full("/data"),
    ),
    Fixture {
        fault: "tmpfs-restart",
        volume: TMPFS,
        mount: "/data",
        inject: "{ target: \"agent:/data\" }",
        ..PLAIN
    },
    Fixture {
        fault: "tmpfs-restart",
        way: "in-place",
        volume: TMPFS,
        mount: "/data",
        inject: "{ target: \"agent:/data\", in_place: true }",
        trace: Trace::Stacked("/data"),
        ..PLAIN
    },
    state(
        ("torn-write", ""),
        (INTERPOSED, "/data"),
        "{ target: \"agent:/data\" }",
        Trace::Mangled("/data/tried"),
    ),
];

impl Fixture {
    /// The one of this name.
    pub(super) fn called(name: &str) -> &'static Self {
        FIXTURES.iter().find(|fixture| fixture.name() == name).unwrap()
    }
}

#[test]
fn every_fault_has_a_fixture() {
    for row in keelhaul::faults::TABLE {
        let found = FIXTURES.iter().any(|fixture| fixture.fault == row.name);
        assert!(found, "`{}` has no fixture: add one to the table in this file", row.name);
    }
    for fixture in FIXTURES {
        let known = keelhaul::faults::TABLE.iter().any(|row| row.name == fixture.fault);
        assert!(known, "there is no fault `{}`", fixture.fault);
    }
}

//! The scenarios that a suite starts with. One more: a line in the table. Pure.

use super::yaml;
use crate::{
    runtime::RestartPolicy,
    scenario::{Mount, Service},
    volumes::VolumeSpec,
};

/// Where a fault may act: a service, or one of its mounts.
pub(super) struct Place<'a> {
    service: &'a str,
    of: &'a Service,
    mount: Option<(&'a str, &'a Mount)>,
    /// The volume's kind; empty for a service.
    kind: &'static str,
    /// A service that has written nothing there has nothing to lose.
    only_read: bool,
    /// `UID:GID` that the service runs as; empty where nobody has looked into its image.
    runs_as: &'a str,
    /// It is the run's own, and starts with it.
    own: bool,
    /// Nothing tells when it has started but that it runs.
    unseen: bool,
}

/// A fault, where it applies, and what is written for it.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) applies: fn(&Place<'_>) -> bool,
    /// The volume that it needs in place of the one there.
    pub(super) volume: fn(&Place<'_>) -> Option<String>,
    pub(super) steps: fn(&Place<'_>) -> String,
}

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "crash",
        about: "The main process crashes; the engine must start it again.",
        applies: |place| place.mount.is_none() && place.of.restart != RestartPolicy::No,
        volume: |_| None,
        steps: |place| place.event("crash: {}", "crashed"),
    },
    Recipe {
        name: "restart",
        about: "The container is stopped in order and started again; it must come back.",
        applies: |place| place.mount.is_none(),
        volume: |_| None,
        steps: |place| place.event("restart: {}", "restarted"),
    },
    Recipe {
        name: "disk-full",
        about: "The volume is full; the service must come back with the space.",
        applies: |place| place.keeps_data(),
        volume: |place| Some(place.own_disk("size: 256MiB")),
        steps: |place| place.state("disk-full: {}", "full"),
    },
    Recipe {
        name: "inode-exhaustion",
        about: "The volume has no inodes left, and bytes are free; the service must come back.",
        applies: |place| place.keeps_data(),
        volume: |place| Some(place.own_disk("size: 256MiB, inodes: 16384")),
        steps: |place| place.state("inode-exhaustion: {}", "no-inodes"),
    },
    Recipe {
        name: "read-only",
        about: "The mount turns read-only, as after a disk error; the service must come back.",
        applies: |place| place.keeps_data(),
        volume: |_| None,
        steps: |place| place.state("read-only: {}", "frozen"),
    },
    Recipe {
        name: "power-cut",
        about: "The power goes; the service must start on what was durable.",
        applies: |place| place.keeps_data() && !place.only_read,
        volume: |_| Some("{ docker: { interpose: file } }".into()),
        steps: |place| place.event("power-cut: {}", "cut"),
    },
    Recipe {
        name: "tmpfs-restart",
        about: "The tmpfs is empty after a restart; the service must not need what was there.",
        applies: |place| place.kind == "tmpfs",
        volume: |_| None,
        steps: |place| place.event("tmpfs-restart: {}", "emptied"),
    },
    Recipe {
        name: "tmpfs-full",
        about: "The tmpfs is full; the service must come back with the space.",
        applies: |place| place.may_write() && place.kind == "tmpfs",
        volume: |_| None,
        steps: |place| place.state("disk-full: {}", "full"),
    },
];

/// More, for a copy: what the fault takes away, or what is written meanwhile, is the run's own.
pub(super) const OWN: &[Recipe] = &[
    Recipe {
        name: "ownership",
        about: "The volume belongs to another user; the service must come back with its owner.",
        applies: |place| place.keeps_data() && place.is_bound_by_owners(),
        volume: |_| None,
        steps: |place| place.state("ownership: { target: {}, owner: \"65534:65534\" }", "foreign"),
    },
    Recipe {
        name: "shadow-mount",
        about: "Something empty is mounted over the volume; the service must come back without it.",
        applies: |place| place.keeps_data(),
        volume: |_| None,
        steps: |place| place.state("shadow-mount: {}", "hidden"),
    },
    Recipe {
        name: "lost-mount",
        about: "The mount goes away under the service, which must come back with it.",
        applies: |place| place.keeps_data() && !place.holds_mounts(),
        volume: |_| None,
        steps: |place| place.state("lost-mount: {}", "lost"),
    },
    Recipe {
        name: "slow-start",
        about: "Reads, writes and syncs take longer while the service is started again.",
        applies: |place| place.keeps_data() && !place.only_read,
        volume: |_| Some("{ docker: { interpose: file } }".into()),
        steps: |place| place.started_under("io-latency: { target: {}, latency: 100ms }", "slow"),
    },
];

/// More, for a container that is not the run's: what fills or freezes there would do so to others too.
pub(super) const ON_OTHERS: &[Recipe] = &[
    Recipe {
        name: "no-space",
        about: "Nothing can be written or made there; the service must come back with the space.",
        applies: |place| place.may_write() && place.kind != "tmpfs",
        volume: |_| None,
        steps: |place| {
            let fault =
                "io-error: { target: {}, ops: [create, write], errno: ENOSPC, insert: true }";
            place.struck(fault, "full")
        },
    },
    Recipe {
        name: "slow",
        about: "Reads, writes and syncs take longer; the service must stay well, or come back.",
        applies: |place| place.may_write() && place.kind != "tmpfs",
        volume: |_| None,
        steps: |place| {
            place.struck("io-latency: { target: {}, latency: 200ms, insert: true }", "slow")
        },
    },
];

/// The steady state must come back, whoever starts the service.
const RECOVER: &str = "  - recover\n";

impl<'a> Place<'a> {
    pub(super) fn service(service: &'a str, of: &'a Service) -> Self {
        let (own, unseen) = (false, false);
        Self { service, of, mount: None, kind: "", only_read: false, runs_as: "", own, unseen }
    }

    pub(super) fn mount(
        service: &'a str,
        of: &'a Service,
        mount: (&'a str, &'a Mount),
        volume: Option<&VolumeSpec>,
    ) -> Self {
        let kind = volume.map(VolumeSpec::name).unwrap_or_default();
        Self { mount: Some(mount), kind, ..Self::service(service, of) }
    }

    pub(super) fn only_read(self, only_read: bool) -> Self {
        Self { only_read, ..self }
    }

    pub(super) fn runs_as(self, runs_as: &'a str) -> Self {
        Self { runs_as, ..self }
    }

    /// The service is the run's own; `unseen` where nothing tells when it has started but that it runs.
    pub(super) fn own(self, unseen: bool) -> Self {
        Self { own: true, unseen, ..self }
    }

    /// Name of a file: the words of service and path.
    pub(super) fn words(&self, first: &str) -> String {
        let path = self.mount.map(|(path, _)| path).unwrap_or_default();
        let all = format!("{first} {} {path}", self.service).to_lowercase();
        let mut words: Vec<&str> =
            all.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty()).collect();
        words.dedup();
        words.join("-")
    }

    pub(super) fn volume_name(&self) -> Option<&str> {
        self.mount.map(|(_, mount)| mount.volume.as_str())
    }

    /// A writable volume of the engine's: what is in it is to stay.
    fn keeps_data(&self) -> bool {
        self.kind == "docker" && self.mount.is_some_and(|(_, mount)| !mount.read_only)
    }

    /// Its user is told, and not one whom permissions do not stop.
    fn is_bound_by_owners(&self) -> bool {
        let user = self.of.user.as_deref().unwrap_or_default();
        let user = user.split(':').next().unwrap_or_default();
        // the last two are whom the volume is given to
        !["", "0", "root", "65534", "nobody"].contains(&user)
    }

    /// Something else is mounted below it, and would go with it.
    fn holds_mounts(&self) -> bool {
        let Some((path, _)) = self.mount else { return false };
        let below = format!("{}/", path.trim_end_matches('/'));
        self.of.mounts.keys().any(|other| other.starts_with(&below) && other != path)
    }

    fn may_write(&self) -> bool {
        self.mount.is_some_and(|(_, mount)| !mount.read_only)
    }

    /// A filesystem of its own, which the service's user may write. Who a name is, only its image knows:
    /// where nobody has looked, whoever reads the file is asked.
    fn own_disk(&self, limits: &str) -> String {
        let user = self.of.user.as_deref().unwrap_or_default();
        let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
        let numbers = uid.parse::<u32>().is_ok() && gid.parse::<u32>().is_ok();
        let owner = match () {
            () if !self.runs_as.is_empty() => self.runs_as.to_owned(),
            () if numbers => format!("{uid}:{gid}"),
            () => String::new(),
        };
        if !owner.is_empty() {
            return format!("{{ ext4: {{ {limits}, owner: \"{owner}\" }} }}");
        }
        let is_root = ["", "0", "root"].contains(&uid);
        let open = format!(" # root's own: `owner: \"UID:GID\"` gives it to {}", yaml::text(user));
        format!("{{ ext4: {{ {limits} }} }}{}", if is_root { "" } else { open.as_str() })
    }

    fn target(&self) -> String {
        let path = self.mount.map(|(path, _)| format!(":{path}")).unwrap_or_default();
        serde_json::Value::String(format!("{}{path}", self.service)).to_string()
    }

    fn fault(&self, fault: &str) -> String {
        // with more than a target, it says itself where that stands
        match fault.split_once("target: {}") {
            Some((before, after)) => format!("{before}target: {}{after}", self.target()),
            None => fault.replace("{}", &format!("{{ target: {} }}", self.target())),
        }
    }

    /// A fault that is over at once.
    fn event(&self, fault: &str, name: &str) -> String {
        let fault = self.fault(fault);
        format!(
            "{}  - {{ inject: {{ {fault} }}, as: {name} }}\n  - recover\n{}",
            self.begin(),
            self.end()
        )
    }

    /// A fault that lasts until it is reverted.
    fn state(&self, fault: &str, name: &str) -> String {
        self.lasting(fault, name, "", self.comes_back())
    }

    /// The same of one that strikes operations: where there are none, it proves nothing.
    fn struck(&self, fault: &str, name: &str) -> String {
        let path = self.mount.map(|(path, _)| path).unwrap_or_default();
        let command = format!("echo keelhaul >'{path}/keelhaul-probe' || true");
        let (service, command) =
            (yaml::text(self.service), yaml::list(&["sh".into(), "-c".into(), command]));
        self.lasting(fault, name, &format!(
            "  # It strikes what is read and written there while it is in force. An idle service does neither:\n  \
             # nothing is struck, and the case is `inconclusive`. Then wait longer, give it a workload\n  \
             # (`keelhaul explain ledger`), or have it write, with its own shell; the file stays:\n  \
             # - exec: {{ service: {service}, command: {command} }}\n  \
             # Files that are open already, and a process that has its working directory below there, escape it.\n  \
             # A database such as PostgreSQL is both, and comes by no other way: then the case proves nothing.\n"
        ), RECOVER)
    }

    /// A fault that lasts while the service is started again: an idle one does nothing that it could strike.
    fn started_under(&self, fault: &str, name: &str) -> String {
        let service = serde_json::Value::String(self.service.to_owned());
        let restart = format!(
            "  - {{ inject: {{ restart: {{ target: {service} }} }}, as: restarted }} # or nothing may be read or written\n"
        );
        self.lasting(fault, name, &restart, RECOVER)
    }

    fn lasting(&self, fault: &str, name: &str, remark: &str, recover: &str) -> String {
        let fault = self.fault(fault);
        format!(
            "{}  - {{ inject: {{ {fault} }}, as: {name} }}\n{remark}  - wait: 2s # what must hold meanwhile? `expect` says it\n  - {{ revert: {name} }}\n{recover}{}",
            self.begin(),
            self.end()
        )
    }

    /// A fault that meets the first start of a service strikes what that sets up, which may never come
    /// to an end then.
    fn begin(&self) -> &'static str {
        if self.unseen {
            "\nsteps:\n  # No health check and no port tell when it is at rest after its first start.\n  - wait: 5s\n"
        } else {
            "\nsteps:\n"
        }
    }

    /// One that ends of the fault is as good as one that goes on where somebody starts it again.
    fn comes_back(&self) -> &'static str {
        if self.own && self.of.restart == RestartPolicy::No {
            "  # It has no restart policy: where it ended of the fault, only whoever runs it starts it again.\n  \
             # `start: true` does, and the report notes it; without it, to end is to fail.\n  \
             - recover: { start: true }\n"
        } else {
            RECOVER
        }
    }

    fn end(&self) -> String {
        let service = yaml::text(self.service);
        format!(
            "\nverify:\n  - container: {{ service: {service}, state: running }}\n\n# A workload with a ledger proves that nothing acknowledged is lost, and a control that this\n# scenario can fail: see `keelhaul explain ledger` and `keelhaul explain control`.\n"
        )
    }
}

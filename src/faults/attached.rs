//! Which faults a container bears that is not the run's: those whose every trace can be taken back.
//!
//! What a run has made is thrown away in the end, so what a fault leaves there does not matter. What
//! runs already goes on afterwards: a fault is refused on it until it is listed here.

use super::{Cx, Declared, FaultError, FaultSpec, Scope};
use crate::{
    protocol::FsFacts,
    volumes::{Filesystem, VolumeSpec},
};

/// Those that act in the container's mount namespace or cgroup, on attributes and names of files
/// that are put back, or on its processes as a whole.
const GIVES_BACK: [&str; 21] = [
    "cache-pollution",
    "crash",
    "disk-full",
    "drop-cache",
    "inode-exhaustion",
    "inotify-exhaustion",
    "kill",
    "label",
    "lost-mount",
    "mode",
    "mount-flags",
    "mtime-skew",
    "oom-kill",
    "ownership",
    "pause",
    "read-only",
    "remount",
    "restart",
    "shadow-mount",
    "stop",
    "throttle",
];

/// Those that strike in an interposer, and can insert one under a container that runs.
const INSERTED: [&str; 4] = ["io-error", "io-latency", "io-stall", "short-write"];

/// Why a fault is refused on a container that is not the run's. Pure.
#[must_use]
pub fn refused_on_attached(fault: &FaultSpec) -> Option<String> {
    let name = fault.name();
    if GIVES_BACK.contains(&name) {
        return None;
    }
    if INSERTED.contains(&name) {
        // what strikes a whole volume needs an interposer that was there from the start
        return (fault.scope() != Scope::Container).then(|| {
            format!(
                "`{name}` strikes in an interposer, and none lies under a container that runs \
                 already\n\nhint: add `insert: true` to the fault"
            )
        });
    }
    let (why, hint) = reason(name);
    Some(format!("`{name}` is refused on a container that runs already: {why}\n\nhint: {hint}"))
}

/// Why, and what to do instead.
fn reason(name: &str) -> (&'static str, &'static str) {
    match name {
        "commit-and-recreate" | "recreate" | "remove-volume" => (
            "another container, or an empty volume, is not what was there",
            "test that on a copy, which `keelhaul init` describes",
        ),
        "broken-hardlinks" | "copy-up" | "corruption" | "remove-file" | "replace-file"
        | "tmpfs-restart" | "torn-write" => (
            "what it changes, or what is written meanwhile, cannot be given back",
            "test that on a copy, which `keelhaul init` describes",
        ),
        "memory-limit" => (
            "who runs out of memory is killed, and nobody would start it again",
            "give the service an `image`, so that it belongs to the run",
        ),
        "disconnect" => {
            ("the engine may give it another address afterwards", "`pause` makes it silent as well")
        }
        "stall" => (
            "to freeze a filesystem is to freeze whoever uses it",
            "`io-stall` with `insert: true` holds up the operations of this container alone",
        ),
        _ => (
            "it is not known to give back everything there",
            "give the service an `image`, so that it belongs to the run",
        ),
    }
}

/// Faults that change the files themselves, and not the way to them.
const ON_FILES: [&str; 4] = ["label", "mode", "mtime-skew", "ownership"];

/// Why a fault is refused at a place of such a container, by what is mounted there: the kind as the
/// engine calls it; none where nothing is. `host_wide` is the scenario's opt-in. Pure.
#[must_use]
pub fn refused_there(fault: &FaultSpec, kind: Option<&str>, host_wide: bool) -> Option<String> {
    let name = fault.name();
    let (why, hint) = match kind {
        None if ON_FILES.contains(&name) => (
            "a file of the image would be copied into the container's own layer, and stay there",
            "aim at what lies on a mount",
        ),
        Some("bind") if ON_FILES.contains(&name) && !host_wide => {
            ("these are files of the host", "write `allow: [attach, host-wide]`")
        }
        // its propagation is not known, and would not come back with it
        Some("bind") if ["lost-mount", "remount"].contains(&name) => (
            "a directory of the host may be mounted so that later mounts show up in it",
            "`shadow-mount` hides what is there",
        ),
        _ => return None,
    };
    Some(format!("`{name}` is refused on a container that runs already: {why}\n\nhint: {hint}"))
}

/// What the owner of such a container has to bear of a fault although it is given back.
#[must_use]
pub fn borne(fault: &FaultSpec) -> Option<&'static str> {
    match fault.name() {
        name if INSERTED.contains(&name) => {
            Some("files that it opens meanwhile and keeps open fail when the run ends")
        }
        "shadow-mount" => Some("what it writes there meanwhile is lost"),
        "lost-mount" => Some("what it writes there meanwhile stays below the mount"),
        _ => None,
    }
}

/// What is wrong with a fault whatever is mounted at its target, which shows only when the container
/// is looked at. Pure.
#[must_use]
pub fn complaints_anywhere(fault: &FaultSpec) -> Vec<String> {
    let volumes: Vec<_> = ["volume", "bind", "tmpfs"]
        .into_iter()
        .filter_map(|kind| VolumeSpec::found(kind, "/srv"))
        .collect();
    let declared = |volume| Declared { volume, is_mount_point: true, host_wide: false };
    let mut always =
        fault.check(&Declared { volume: None, is_mount_point: false, host_wide: false });
    for volume in &volumes {
        let here = fault.check(&declared(Some(volume)));
        always.retain(|text| here.contains(text));
    }
    always
}

impl Cx<'_> {
    /// Refuses to fill what is not the run's, but for a tmpfs that only this container has.
    pub(super) fn may_fill(&self, fs: &FsFacts) -> Result<(), FaultError> {
        let own = |volume: &super::SiteVolume| volume.spec.filesystem() == Some(Filesystem::Tmpfs);
        if !self.attached || self.site.volume.as_ref().is_some_and(own) && fs.fs_type == "tmpfs" {
            return Ok(());
        }
        let path = &self.site.place.path;
        let whose = if fs.is_host {
            "also holds the engine's data or the host's root"
        } else {
            "may be used by others too"
        };
        Err(FaultError::Refused(format!(
            "the filesystem at `{path}` {whose}, and `{}` is not the run's, so it is not \
             filled\n\nhint: `io-error` with `errno: ENOSPC, ops: [create, write], insert: true` \
             lets writes fail for this container alone",
            self.site.service
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{
        TABLE,
        testing::{self, Fake},
    };

    fn fault(yaml: &str) -> FaultSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn every_listed_name_is_a_fault_and_every_other_is_refused_with_its_reason() {
        let known = |name: &str| TABLE.iter().any(|row| row.name == name);
        assert!(GIVES_BACK.iter().chain(&INSERTED).all(|name| known(name)));
        for row in TABLE {
            let refused = refused_on_attached(&fault(row.example));
            assert_eq!(refused.is_none(), GIVES_BACK.contains(&row.name), "{}", row.name);
            assert!(refused.is_none_or(|why| why.contains("\n\nhint: ")), "{}", row.name);
        }
        let inserted = "io-stall: { target: db:/data, insert: true }";
        assert_eq!(refused_on_attached(&fault(inserted)), None);
        let why = refused_on_attached(&fault("stall: { target: db:/data }")).unwrap();
        assert!(why.contains("`io-stall` with `insert: true`"), "{why}");
    }

    #[test]
    fn before_anybody_has_looked_only_what_is_wrong_everywhere_is_a_complaint() {
        let count = |yaml| complaints_anywhere(&fault(yaml)).len();
        assert_eq!(count("disk-full: { target: db:/data }"), 0);
        assert_eq!(count("read-only: { target: db:/data }"), 0);
        assert_eq!(count("disk-full: { target: db:/data, percent: 0% }"), 1);
        assert_eq!(count("read-only: { target: db }"), 1);
    }

    #[test]
    fn only_a_tmpfs_of_its_own_is_filled() {
        let fake = Fake::default();
        let may = |site: &super::super::Site, fs: &str, attached, is_host| {
            let cx = Cx { attached, ..fake.cx(site) };
            let fs = FsFacts { is_host, ..testing::fs(fs) };
            cx.may_fill(&fs).map_err(|error| error.to_string())
        };
        let tmpfs = testing::site("/data", "tmpfs: {}");
        let volume = testing::site("/data", "docker: {}");
        assert_eq!(may(&tmpfs, "tmpfs", true, false), Ok(()));
        assert_eq!(may(&volume, "ext4", false, true), Ok(()), "the run's own");
        let why = may(&volume, "ext4", true, true).unwrap_err();
        assert!(why.contains("errno: ENOSPC") && why.contains("the host's root"), "{why}");
        assert!(may(&volume, "tmpfs", true, false).is_err(), "the host's memory");
    }
}

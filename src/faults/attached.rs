//! Whether a fault may act on a container that is not the run's, where it would act there.

use std::path::Path;

use super::{Changes, Declared, FaultSpec, OnOthers, Scope, sole};
use crate::{
    runtime::{ContainerMount, reaches_engine},
    volumes::{Filesystem, VolumeSpec},
};

/// Why a fault is refused that acts on such a container although it is aimed at another. Pure.
#[must_use]
pub fn refused_with_attached(fault: &FaultSpec, peer: &str) -> String {
    let why = format!("it acts on `{peer}` too, and is not known to give back everything there");
    refusal(fault.name(), &why, "give that service an `image`, so that it belongs to the run")
}

/// Why a fault is refused on a container that is not the run's. Pure.
#[must_use]
pub fn refused_on_attached(fault: &FaultSpec) -> Option<String> {
    let name = fault.name();
    match fault.on_others() {
        OnOthers::GivenBack { .. } => None,
        // what strikes a whole volume needs an interposer that was there from the start
        OnOthers::Inserted => (fault.scope() != Scope::Container).then(|| {
            format!(
                "`{name}` strikes in an interposer, and none lies under a container that runs \
                 already\n\nhint: add `insert: true` to the fault"
            )
        }),
        OnOthers::Refused { why, hint } => Some(refusal(name, why, hint)),
    }
}

pub(super) fn refusal(name: &str, why: &str, hint: &str) -> String {
    format!("`{name}` is refused on a container that runs already: {why}\n\nhint: {hint}")
}

/// What a host lives by, and its engine. Nobody who allows the whole host means these.
const OF_THE_HOST: [&str; 12] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/docker",
];

/// A directory of the host that lies in one of those, or has one in it.
fn is_the_hosts(source: &str) -> bool {
    let path = Path::new(source);
    let own = |own: &&str| path.starts_with(own) || Path::new(own).starts_with(path);
    reaches_engine(source) || OF_THE_HOST.iter().any(own)
}

/// Why a fault is refused at a place of such a container, by what is mounted there; none where
/// nothing is. `host_wide` is the scenario's opt-in. Pure.
#[must_use]
pub fn refused_there(
    fault: &FaultSpec,
    mounted: Option<&ContainerMount>,
    host_wide: bool,
) -> Option<String> {
    let kind = mounted.map(|mount| mount.kind.as_str());
    let changes = fault.on_others().changes()?;
    if let Some(instead) = changes.instead() {
        let shared = sole::shared_anyway(mounted?)?;
        return Some(refusal(fault.name(), &sole::not_alone(&shared), instead));
    }
    let of_the_host = mounted.is_some_and(|mount| is_the_hosts(&mount.source));
    let (why, hint) = match (changes, kind) {
        (Changes::Files, Some("bind")) if of_the_host => {
            let source = mounted.map_or("", |mount| mount.source.as_str());
            let why = format!("the host itself, or its engine, lives by what is in `{source}`");
            return Some(refusal(fault.name(), &why, "aim at a mount of the service's own data"));
        }
        (Changes::Files, None) => (
            "a file of the image would be copied into the container's own layer, and stay there",
            "aim at what lies on a mount",
        ),
        (Changes::Files, Some("bind")) if !host_wide => {
            ("these are files of the host", "write `allow: [attach, host-wide]`")
        }
        // its propagation is not known, and would not come back with it
        (Changes::Mounts, Some("bind")) => (
            "a directory of the host may be mounted so that later mounts show up in it",
            "`shadow-mount` hides what is there",
        ),
        _ => return None,
    };
    Some(refusal(fault.name(), why, hint))
}

/// What is wrong with a fault whatever is mounted at its target, which shows only when the container
/// is looked at. Pure.
#[must_use]
pub fn complaints_anywhere(fault: &FaultSpec) -> Vec<String> {
    let own = Some(Filesystem::Ext4);
    let volumes: Vec<_> = [("volume", None), ("volume", own), ("bind", None), ("tmpfs", None)]
        .into_iter()
        .filter_map(|(kind, own)| VolumeSpec::found(kind, "/srv", own))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::TABLE, runtime::OwnFilesystem};

    fn fault(yaml: &str) -> FaultSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn mounted(kind: &str, source: &str) -> ContainerMount {
        let (destination, kind, source) = ("/x".into(), kind.into(), source.into());
        ContainerMount {
            destination,
            kind,
            source,
            volume: String::new(),
            writable: true,
            own: None,
        }
    }

    #[test]
    fn who_does_not_give_everything_back_is_refused_with_its_reason() {
        for row in TABLE {
            let refused = refused_on_attached(&fault(row.example));
            let back = row.on_others.changes().is_some();
            assert_eq!(refused.is_none(), back, "{}", row.name);
            assert!(refused.is_none_or(|why| why.contains("\n\nhint: ")), "{}", row.name);
        }
        let of = |name| TABLE.iter().find(|row| row.name == name).unwrap().on_others;
        assert_eq!(of("bit-rot"), OnOthers::UNKNOWN, "who says nothing");
        assert_eq!(of("recreate"), OnOthers::NOT_WHAT_WAS_THERE);
        assert_eq!(of("crash").changes(), Some(Changes::Processes));
        let inserted = "io-stall: { target: db:/data, insert: true }";
        assert_eq!(refused_on_attached(&fault(inserted)), None);
        let stall = "stall: { target: db:/data }";
        assert_eq!(refused_on_attached(&fault(stall)), None, "it depends on what is there");
    }

    #[test]
    fn what_the_host_lives_by_is_not_touched_whatever_is_allowed() {
        let mode = fault("mode: { target: 'db:/x', mode: '0700' }");
        let refused = |source: &str, host_wide| {
            refused_there(&mode, Some(&mounted("bind", source)), host_wide)
        };
        for source in ["/", "/etc", "/etc/ssl/", "/var", "/var/run/docker.sock", "/run", "/proc/1"]
        {
            let why = refused(source, true).unwrap_or_else(|| panic!("{source}"));
            assert!(why.contains("lives by"), "{why}");
        }
        for source in ["/srv/data", "/etcd", "/var/lib/postgresql"] {
            assert_eq!(refused(source, true), None, "{source}");
            assert!(refused(source, false).unwrap().contains("host-wide"), "{source}");
        }
    }

    #[test]
    fn what_others_use_is_not_filled_or_frozen() {
        for (yaml, instead) in [
            ("disk-full: { target: db:/x }", "errno: ENOSPC"),
            ("inode-exhaustion: { target: db:/x }", "errno: ENOSPC"),
            ("stall: { target: db:/x }", "`io-stall` with `insert: true`"),
        ] {
            let refused = |mount: ContainerMount| refused_there(&fault(yaml), Some(&mount), true);
            assert_eq!(refused(mounted("tmpfs", "")), None, "{yaml}");
            for kind in ["volume", "bind"] {
                let why = refused(mounted(kind, "/srv/pg")).unwrap();
                assert!(why.contains("is not its alone") && why.contains(instead), "{why}");
            }
            let own = OwnFilesystem { fs_type: "ext4".into(), shared_with: Vec::new() };
            assert_eq!(refused(ContainerMount { own: Some(own), ..mounted("volume", "/v") }), None);
        }
    }

    #[test]
    fn before_anybody_has_looked_only_what_is_wrong_everywhere_is_a_complaint() {
        let count = |yaml| complaints_anywhere(&fault(yaml)).len();
        assert_eq!(count("disk-full: { target: db:/data }"), 0);
        assert_eq!(count("read-only: { target: db:/data }"), 0);
        assert_eq!(count("stall: { target: db:/data }"), 0);
        assert_eq!(count("stall: { target: db:/data, at_most: 5m }"), 1);
        assert_eq!(count("disk-full: { target: db:/data, percent: 0% }"), 1);
        assert_eq!(count("read-only: { target: db }"), 1);
    }
}

//! Whether what a fault has left is gone, where no undo can come to it. What is not known to be gone is
//! still to do: nothing here counts as undone because it cannot be reached.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    super::HelperError,
    context::Context,
    engine,
    place::{dev_of, find_init},
};
use crate::{
    host::{
        error::{HostError, HostResult},
        mountinfo::{MountTable, Reader},
        namespace::in_mount_ns,
        process::Identity,
    },
    protocol::{Dev, Place},
    runtime::{Runtime as _, RuntimeError, VolumeBeneath},
};

/// Where an engine keeps what is in a volume of its own, below the volume's name.
const DATA: &str = "_data";
/// The largest numbers of a device (`linux/kdev_t.h`); a filesystem's own id has larger ones.
const LARGEST: Dev = Dev { major: (1 << 12) - 1, minor: (1 << 20) - 1 };

/// What a path leads to, or what the nearest directory above it that is there does.
struct Lies {
    dev: Dev,
    fs_type: String,
    source: String,
}

impl Lies {
    /// By what `target` sees. Who cannot be asked, such as a server that has ended, is an error.
    fn at(target: Identity, path: &str) -> HostResult<Self> {
        let mounts = Reader::open(target)?;
        in_mount_ns(target, || {
            let there = nearest(Path::new(path))?;
            let table = mounts.read()?;
            let mount = table.covering(&there);
            let text = |text: Option<&String>| text.cloned().unwrap_or_default();
            Ok(Self {
                dev: dev_of(&there)?,
                fs_type: text(mount.map(|mount| &mount.fs_type)),
                source: text(mount.map(|mount| &mount.source)),
            })
        })?
    }

    /// It has a number of its own in each start of a container. Such a layer was looked through by the
    /// inode, and such memory ended with what was in it; that of a fault of ours covers what it was on.
    fn begins_anew(&self) -> bool {
        self.fs_type == "overlay" || self.is_memory()
    }

    fn is_memory(&self) -> bool {
        self.fs_type == "tmpfs" && !self.source.contains("keelhaul")
    }

    /// Whether it is what had a number that nothing mounted has any more, a share for one: its number is
    /// made up at each mount. What covers another mount leaves that in the table. What is on the kind of
    /// filesystem that the host is on may be all that is there while the one meant is not mounted.
    fn was_mounted_anew(&self, dev: Dev, (init, engine): (Identity, Identity)) -> HostResult<bool> {
        let tables = [MountTable::of(init)?, MountTable::of(engine)?];
        let mut mounts = tables.iter().flat_map(|table| &table.0);
        let root = tables[1].covering(Path::new("/"));
        Ok(dev.major == 0
            && self.dev.major == 0
            && root.is_some_and(|root| root.fs_type != self.fs_type)
            && mounts.all(|mount| Dev::from(mount.dev) != dev))
    }
}

fn nearest(path: &Path) -> HostResult<PathBuf> {
    for one in path.ancestors() {
        match fs::canonicalize(one) {
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]
                    .contains(&error.kind()) => {}
            other => return other.map_err(|error| HostError::sys("open", one, error)),
        }
    }
    Ok("/".into())
}

/// That it is gone, for all that is known. `dev` is the filesystem that it was on, where that is known.
///
/// # Errors
/// Where it may still be, and what to do.
pub(super) fn check(place: &Place, dev: Option<Dev>, cx: &Context) -> Result<(), HelperError> {
    match (find_init(place)?, &place.host_path, dev) {
        (Some(_), _, None) => Ok(()),
        (Some(init), _, Some(dev)) => in_container(place, (init, dev), cx),
        (None, None, _) => with_container(place, cx),
        // what lies in the run's own directory goes with it
        (None, Some(path), _) if is_own(path, cx) => Ok(()),
        (None, Some(path), dev) => {
            let engine = engine::process().ok_or_else(|| no_engine(place))?;
            dev.map_or(Ok(()), |dev| on_host((place, path), engine, (dev, cx)))
        }
    }
}

fn is_own(path: &str, cx: &Context) -> bool {
    !cx.host_dir.is_empty() && Path::new(path).starts_with(&cx.host_dir)
}

/// While a container runs, its volumes are mounted, and what shows the same filesystem shows what has
/// become of a name.
fn in_container(
    place: &Place,
    (init, dev): (Identity, Dev),
    cx: &Context,
) -> Result<(), HelperError> {
    let here = Lies::at(init, &place.path)?;
    if here.dev == dev || dev.major == 0 && here.begins_anew() {
        return Ok(());
    }
    let Some(engine) = engine::process() else { return Err(covered(place, cx)) };
    match &place.host_path {
        Some(path) if Lies::at(engine, path)?.dev == dev => Ok(()),
        _ if here.was_mounted_anew(dev, (init, engine))? => Ok(()),
        _ => Err(covered(place, cx)),
    }
}

/// What the host has no path to goes with its container, and not before, unless it was memory.
fn with_container(place: &Place, cx: &Context) -> Result<(), HelperError> {
    let asked = engine::ask(async |engine| engine.inspect(&place.container).await);
    match asked {
        Ok(Err(RuntimeError::Gone { .. })) => Ok(()),
        Ok(Ok(facts)) if facts.has_in_memory(&place.path) => Ok(()),
        Ok(Ok(_)) => Err(in_layer(place, "")),
        Ok(Err(error)) => Err(in_layer(place, &error.to_string())),
        Err(_) if engine::process().is_some_and(|engine| is_removed(place, engine, cx)) => Ok(()),
        Err(why) => Err(in_layer(place, &why)),
    }
}

/// Whether an engine that cannot be asked keeps nothing of a container any more: of each it has a directory,
/// beside its volumes (moby, `daemon/container`).
fn is_removed(place: &Place, engine: Identity, cx: &Context) -> bool {
    let Some((root, _)) = cx.host_dir.rsplit_once("/volumes/") else { return false };
    let all = Path::new(root).join("containers");
    let one = all.join(&place.container);
    let there = |path: &Path| is_there(engine, path);
    there(&all) == Ok(true) && there(&one) == Ok(false)
}

/// On the host a name is gone with its volume, with its device, or while its filesystem is there.
fn on_host(
    (place, path): (&Place, &str),
    engine: Identity,
    (dev, cx): (Dev, &Context),
) -> Result<(), HelperError> {
    let here = Lies::at(engine, path)?;
    // memory has gone with its boot
    let memory = cx.other_boot && dev.major == 0 && here.is_memory();
    if here.dev == dev || memory || is_without_device(dev, is_on_own(place, cx)) {
        return Ok(());
    }
    match volume_root(place).and_then(|(root, _)| Some(root.parent()?.to_owned())) {
        Some(volume) if !is_there(engine, &volume)? => Ok(()),
        Some(volume) if dev.major == 0 && is_in_memory(&volume) => Ok(()),
        _ => Err(not_mounted(place, cx)),
    }
}

fn is_there(engine: Identity, path: &Path) -> HostResult<bool> {
    in_mount_ns(engine, || fs::exists(path).map_err(|error| HostError::sys("stat", path, error)))?
}

/// Whether a volume is one that the engine makes of memory for as long as somebody uses it.
fn is_in_memory(volume: &Path) -> bool {
    let name = volume.file_name().unwrap_or_default().to_string_lossy();
    let beneath = engine::ask(async |engine| engine.volume_beneath(&name).await);
    beneath == Ok(Ok(VolumeBeneath::Filesystem("tmpfs".to_owned())))
}

/// Whether a place is on a volume of the run's own.
fn is_on_own(place: &Place, cx: &Context) -> bool {
    let name =
        volume_root(place).and_then(|(root, _)| Some(root.parent()?.file_name()?.to_owned()));
    let own = journal_volume(cx).map(|journal| format!("{journal}-"));
    own.is_some_and(|own| name.is_some_and(|name| name.to_string_lossy().starts_with(&own)))
}

/// The volume that the run's directory is: what is the run's own is named after it.
fn journal_volume(cx: &Context) -> Option<&str> {
    Path::new(cx.host_dir.strip_suffix("/_data")?).file_name()?.to_str()
}

/// Whether no disk has this number, or, where it is one of the run's own, nothing is on the one that has it:
/// a loop device without a file. Whose file it was else comes back with its next mount.
fn is_without_device(dev: Dev, own: bool) -> bool {
    if dev.major == 0 || dev.major > LARGEST.major || dev.minor > LARGEST.minor {
        return false;
    }
    match fs::read_to_string(format!("/sys/dev/block/{dev}/size")) {
        Ok(sectors) => own && sectors.trim() == "0",
        Err(error) => {
            error.kind() == io::ErrorKind::NotFound && Path::new("/sys/dev/block").exists()
        }
    }
}

/// The root of the volume that a place is on, as the engine sees it, and what comes after it.
pub(super) fn volume_root(place: &Place) -> Option<(PathBuf, String)> {
    let path = place.host_path.as_deref()?;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let mut roots = ends.filter(|end| Path::new(&path[..*end]).file_name() == Some(DATA.as_ref()));
    let end = roots.next()?;
    Some((path[..end].into(), path[end..].to_owned()))
}

/// Why it is still to do.
pub(super) fn not_mounted(place: &Place, cx: &Context) -> HelperError {
    HelperError::Refused(format!(
        "the filesystem that `{}` was on is mounted nowhere just now, and what a fault has left is \
         still on it\n\nhint: start its container, then `keelhaul recover` the run{}",
        place.path,
        by_hand(cx)
    ))
}

fn covered(place: &Place, cx: &Context) -> HelperError {
    HelperError::Refused(format!(
        "`{}` shows another filesystem than the one that a fault was on, and what it has left may \
         still be on that\n\nhint: take away what covers it, or restart its container, then \
         `keelhaul recover` the run{}",
        place.path,
        by_hand(cx)
    ))
}

/// How a run is ended whose last fault nobody but its user can see to be gone.
fn by_hand(cx: &Context) -> String {
    let forget = |volume| {
        format!(
            "\nhint: where nothing else is left to undo, and you have seen to it by hand, \
             `docker volume rm {volume}` forgets the run"
        )
    };
    journal_volume(cx).map(forget).unwrap_or_default()
}

fn in_layer(place: &Place, unasked: &str) -> HelperError {
    let why = if unasked.is_empty() { String::new() } else { format!(" ({unasked})") };
    HelperError::Refused(format!(
        "the container of `{}` has ended, and what a fault has left is still in a layer of its \
         own{why}\n\nhint: start it, or remove it, then `keelhaul recover` the run",
        place.path
    ))
}

fn no_engine(place: &Place) -> HelperError {
    HelperError::Refused(format!(
        "no engine runs, and only by way of one can it be seen what a fault has left at `{}`\n\n\
         hint: start it, then `keelhaul recover` the run",
        place.path
    ))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::MetadataExt as _};

    use super::*;

    /// A number that no mount has.
    const NOWHERE: Dev = Dev { major: 0, minor: (1 << 20) - 1 };

    fn at(host_path: &Path) -> Place {
        let (container, path) = ("0123456789ab".to_owned(), "/data/f".to_owned());
        let host_path = Some(host_path.display().to_string());
        Place { container, pid: 0, path, host_path }
    }

    /// What is said where this process stands for the engine.
    fn said(place: &Place, dev: Dev) -> Result<(), String> {
        let (me, path) = (Identity::of(std::process::id()).unwrap(), place.host_path.as_ref());
        let cx = Context::testing(Path::new("/nowhere"));
        on_host((place, path.unwrap()), me, (dev, &cx)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_device_without_a_file_proves_something_of_the_runs_own_volumes_alone() {
        let mut cx = Context::testing(Path::new("/nowhere"));
        let on = |name: &str| at(&Path::new("/d/volumes").join(name).join("_data/f"));
        assert!(!is_on_own(&on("keelhaul-r-v"), &cx), "nobody knows what the run is called");
        cx.host_dir = "/d/volumes/keelhaul-r/_data".to_owned();
        assert!(is_on_own(&on("keelhaul-r-v"), &cx));
        assert!(!is_on_own(&on("keelhaul-rest-v"), &cx) && !is_on_own(&on("theirs"), &cx));
        let kept = not_mounted(&on("theirs"), &cx).to_string();
        assert!(kept.contains("`docker volume rm keelhaul-r` forgets"), "{kept}");
        let empty = fs::read_dir("/sys/block").into_iter().flatten().flatten().find_map(|disk| {
            let read = |name: &str| fs::read_to_string(disk.path().join(name)).ok();
            let (major, minor) = read("dev")?
                .trim()
                .split_once(':')
                .map(|(major, minor)| (major.parse().unwrap(), minor.parse().unwrap()))?;
            (read("size")?.trim() == "0").then_some(Dev { major, minor })
        });
        let Some(empty) = empty else {
            let _ = writeln!(io::stderr(), "skipped: every disk has something on it");
            return;
        };
        assert!(is_without_device(empty, true) && !is_without_device(empty, false));
    }

    #[test]
    fn a_share_that_was_mounted_anew_is_told_from_what_covers_it() {
        let me = Identity::of(std::process::id()).unwrap();
        let anew = |fs_type: &str, dev| {
            let (fs_type, source) = (fs_type.to_owned(), String::new());
            let here = Lies { dev: Dev { major: 0, minor: 77 }, fs_type, source };
            here.was_mounted_anew(dev, (me, me)).unwrap()
        };
        assert!(anew("nfs4", NOWHERE));
        assert!(!anew("nfs4", Dev { major: 8, minor: 1 }), "a disk keeps its number");
        let table = MountTable::of(me).unwrap();
        let mounted = table.0.iter().find(|mount| mount.dev.0 == 0).unwrap();
        assert!(!anew("nfs4", mounted.dev.into()), "it is still there");
        let root = &table.covering(Path::new("/")).unwrap().fs_type;
        assert!(!anew(root, NOWHERE), "nothing may be mounted there");
    }

    #[test]
    fn what_cannot_be_reached_is_gone_with_its_volume_or_its_device_alone() {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(io::stderr(), "skipped: needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("v/_data");
        fs::create_dir_all(&root).unwrap();
        let place = at(&root.join("f"));
        let here = fs::metadata(&root).unwrap().dev();
        let here = Dev { major: rustix::fs::major(here), minor: rustix::fs::minor(here) };
        assert_eq!(said(&place, here), Ok(()), "its name is gone, and its filesystem is there");
        // NFS, or one of ours that was withdrawn: no device to be seen that it is gone by
        let kept = said(&place, NOWHERE).unwrap_err();
        assert!(kept.contains("mounted nowhere just now") && kept.contains("hint: "), "{kept}");
        assert!(said(&at(&dir.path().join("bound/f")), NOWHERE).is_err());
        let removed = Dev { major: 4000, minor: 1 };
        assert_eq!(said(&place, removed), Ok(()), "no disk has that number");
        fs::remove_dir_all(dir.path().join("v")).unwrap();
        assert_eq!(said(&place, NOWHERE), Ok(()), "its volume was removed");
    }

    #[test]
    fn a_container_that_the_engine_keeps_nothing_of_was_removed() {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(io::stderr(), "skipped: needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut cx = Context::testing(dir.path());
        let place = at(Path::new("/"));
        let me = Identity::of(std::process::id()).unwrap();
        assert!(!is_removed(&place, me, &cx), "nobody knows where the engine keeps what");
        cx.host_dir = dir.path().join("volumes/keelhaul-r/_data").display().to_string();
        assert!(!is_removed(&place, me, &cx), "it keeps its containers elsewhere");
        let own = dir.path().join("containers").join(&place.container);
        fs::create_dir_all(&own).unwrap();
        assert!(!is_removed(&place, me, &cx));
        fs::remove_dir(own).unwrap();
        assert!(is_removed(&place, me, &cx));
    }

    #[test]
    fn a_layer_that_nobody_can_be_asked_about_is_not_gone() {
        let layer = Place { host_path: None, ..at(Path::new("/")) };
        let cx = Context::testing(Path::new("/nowhere"));
        let kept = check(&layer, Some(NOWHERE), &cx).unwrap_err().to_string();
        assert!(kept.contains("in a layer of its own") && kept.contains("hint: "), "{kept}");
    }
}

//! How an undo comes to the filesystem that its fault was on, and what it says where it cannot.
//!
//! An engine mounts a volume that has a filesystem of its own when a container of it starts, and
//! unmounts it when the last one ends: what a fault has put on it is still there then, and so is it
//! for the next container. An image of the run is mounted by us meanwhile. What is somebody else's is
//! left alone, and said to be still to do.

use std::path::{Path, PathBuf};

use super::{
    super::HelperError,
    context::Context,
    gone::{self, volume_root},
    image,
    place::{Way, find_init, undo_ways},
};
use crate::{
    host::{
        apart::Apart,
        error::HostResult,
        loop_device::{self, Backing},
    },
    protocol::{Dev, Mounted, Place},
};

/// What an undo comes to on the first way on which it finds what it is about; none where it is known that
/// there is none any more. `dev` is the filesystem that it was on, where that is known.
///
/// # Errors
/// When it may still be where no way leads just now; else what the last way failed of.
pub(super) fn undo_on<R>(
    (place, dev): (&Place, Option<Dev>),
    cx: &Context,
    undo: impl Fn(&Way) -> HostResult<Option<R>>,
) -> Result<Option<R>, HelperError> {
    let mut last = None;
    for way in undo_ways(place)? {
        match undo(&way) {
            Ok(None) => {}
            Ok(done) => return Ok(done),
            Err(error) if error.is(libc::ENOENT) || !way.target.is_alive() => {}
            Err(error) => last = Some(error),
        }
    }
    if let Some(error) = last {
        return Err(error.into());
    }
    match own_image(place, &cx.dir) {
        Some((name, below)) if find_init(place)?.is_none() => undo_apart(&name, &below, cx, undo),
        _ => gone::check(place, dev, cx).map(|()| None),
    }
}

/// Undoes it on a volume of the run's own that nothing has mounted. None also where its device has
/// gone: nothing will mount it again.
fn undo_apart<R>(
    name: &str,
    below: &str,
    cx: &Context,
    undo: impl Fn(&Way) -> HostResult<Option<R>>,
) -> Result<Option<R>, HelperError> {
    let Some(node) = device(name, cx)? else { return Ok(None) };
    let at = cx.dir.join(image::IMAGES);
    let cannot = |error: HelperError| {
        HelperError::Refused(format!(
            "nothing has the volume `{name}` mounted just now, and it cannot be: {error}"
        ))
    };
    let Mounted { fs_type, options } = image::mounted(cx, name).map_err(cannot)?;
    let apart = Apart::mount(&node, &at, &fs_type, &options);
    let apart = apart.map_err(|error| cannot(error.into()))?;
    let way = Way { target: apart.target, path: format!("{}{below}", at.display()) };
    match undo(&way) {
        Err(error) if error.is(libc::ENOENT) => Ok(None),
        other => Ok(other?),
    }
}

/// The run's image that a volume of the engine's is on, and what comes after the volume's root in the
/// path: both have one name.
fn own_image(place: &Place, dir: &Path) -> Option<(String, String)> {
    let (root, below) = volume_root(place)?;
    let name = root.parent()?.file_name()?.to_str()?.to_owned();
    image::own(dir, image::IMAGES, &name).ok()?.exists().then_some((name, below))
}

/// The device of an image: its loop device, or a disk of ours of that name.
fn device(name: &str, cx: &Context) -> HostResult<Option<PathBuf>> {
    let nodes = image::nodes();
    let backing = Backing::of(&cx.dir.join(image::IMAGES).join(name))?;
    let mut found = loop_device::find(&nodes, backing)?;
    found.extend(loop_device::find_marked(&nodes, name)?);
    Ok(found.into_iter().next().map(|device| device.node))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, process::Command};

    use super::{
        super::{
            fill,
            place::{dev_of, inside},
        },
        *,
    };
    use crate::{
        host::{fill::MARKER_PREFIX, loop_device::AttachOptions, namespace::in_mount_ns},
        protocol::Outcome,
    };

    fn at(host_path: &str) -> Place {
        let (container, path) = ("0123456789ab".to_owned(), "/data/f".to_owned());
        Place { container, pid: 0, path, host_path: Some(host_path.to_owned()) }
    }

    #[test]
    fn a_volume_of_the_run_is_known_by_the_name_of_its_image() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join(image::IMAGES);
        fs::create_dir(&images).unwrap();
        fs::write(images.join("keelhaul-r-v"), "").unwrap();
        let image = |host_path| own_image(&at(host_path), dir.path());
        let ours = |below: &str| Some(("keelhaul-r-v".to_owned(), below.to_owned()));
        assert_eq!(image("/docker/volumes/keelhaul-r-v/_data"), ours(""));
        assert_eq!(image("/docker/volumes/keelhaul-r-v/_data/a/_data/f"), ours("/a/_data/f"));
        assert_eq!(image("/docker/volumes/theirs/_data/f"), None);
        assert_eq!(image("/srv/keelhaul-r-v/data"), None);
        assert_eq!(image("/_data"), None);
        fs::remove_file(images.join("keelhaul-r-v")).unwrap();
        assert_eq!(image("/docker/volumes/keelhaul-r-v/_data"), None, "it has gone");
    }

    /// An image of a run, on a loop device that is let go of with it.
    struct Image(tempfile::TempDir);

    impl Image {
        const NAME: &str = "keelhaul-r-v";

        fn make() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join(image::IMAGES)).unwrap();
            let image = Self(dir);
            let (fs_type, options) = ("ext4".to_owned(), vec!["data=journal".to_owned()]);
            let mounted = Mounted { fs_type, options };
            let cx = Context::testing(image.0.path());
            image::create(&cx, Self::NAME, 16 << 20, Some(&mounted)).unwrap();
            let made = Command::new("mkfs.ext4").arg("-q").arg(image.file()).status().unwrap();
            assert!(made.success());
            let options = AttachOptions::default();
            loop_device::attach(&image::nodes(), &image.file(), options).unwrap();
            image
        }

        fn file(&self) -> PathBuf {
            self.0.path().join(image::IMAGES).join(Self::NAME)
        }

        fn detach(&self) {
            let backing = Backing::of(&self.file()).unwrap();
            loop_device::detach(&image::nodes(), backing).unwrap();
        }

        /// Puts a filler on it; which filesystem that is.
        fn fill(&self, marker: &str, cx: &Context) -> Dev {
            let (node, at) = (device(Self::NAME, cx).unwrap().unwrap(), cx.dir.join(image::IMAGES));
            let apart = Apart::mount(&node, &at, "ext4", &[]).unwrap();
            let fill = || {
                fs::create_dir(at.join(marker)).unwrap();
                fs::write(at.join(marker).join("f"), "x").unwrap();
                dev_of(&at).unwrap()
            };
            in_mount_ns(apart.target, fill).unwrap()
        }
    }

    impl Drop for Image {
        fn drop(&mut self) {
            self.detach();
        }
    }

    #[test]
    fn a_filler_is_removed_from_a_volume_that_nothing_has_mounted() {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(std::io::stderr(), "skipped: needs root");
            return;
        }
        let image = Image::make();
        let cx = Context::testing(image.0.path());
        let marker = format!("{MARKER_PREFIX}m");
        let place = at("/nowhere/volumes/keelhaul-r-v/_data");
        let dev = image.fill(&marker, &cx);
        let options = undo_on((&place, Some(dev)), &cx, |way| {
            inside(way.target, &way.path, |here| {
                let table = here.mounts.read()?;
                Ok(table.covering(here.path).map(|mount| mount.super_options.clone()))
            })
        });
        let options = options.unwrap().unwrap();
        assert!(options.contains("data=journal"), "not as the engine mounts it: {options}");
        let remove = || fill::remove(&place, dev, &marker, &cx);
        assert_eq!((remove(), remove()), (Ok(Outcome::Done), Ok(Outcome::Already)));
        image.detach();
        assert_eq!(remove(), Ok(Outcome::Already), "nothing will mount it again");
    }
}

//! Observations of mounts, filesystems, files and writers, in the words of the protocol.

use std::path::Path;

use super::{
    super::HelperError,
    engine,
    place::{beside, init, inside},
};
use crate::{
    host::{
        archive,
        container_process::container_processes,
        error::{HostError, HostResult},
        file::{self, FileSummary, TreeDigest, TreeLimits},
        fill::MARKER_PREFIX,
        mountinfo::{MountEntry, MountTable},
        open_files::{self, open_writers},
        probe_write::PROBE_PREFIX,
        process::Identity,
        statfs::FsUsage,
    },
    protocol::{
        ArchiveFacts, FileFacts, FsFacts, LinkState, MountFacts, OpenFile, Place, TreeFacts,
        WriterFacts,
    },
};

/// Bounds of one tree.
const TREE: TreeLimits = TreeLimits { entries: 200_000, bytes: 4 << 30, listing: 2_000 };
/// The largest file that is digested.
const DIGESTED: u64 = 4 << 30;
/// The most content that travels.
const CONTENT: u64 = 4 << 20;

fn mount_facts(entry: &MountEntry) -> MountFacts {
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    MountFacts {
        id: entry.id,
        dev: entry.dev.into(),
        root: entry.root.display().to_string(),
        mount_point: entry.mount_point.display().to_string(),
        options: list(&entry.options),
        fs_type: entry.fs_type.clone(),
        source: entry.source.clone(),
        super_options: list(&entry.super_options),
    }
}

/// The stack of mounts at exactly this path.
pub(super) fn mount_stack(place: &Place) -> Result<Vec<MountFacts>, HelperError> {
    Ok(inside(init(place)?, &place.path, |here| {
        Ok(here.mounts.read()?.at(here.path).into_iter().map(mount_facts).collect())
    })?)
}

/// The mount that a path resolves to.
pub(super) fn mount_of(place: &Place) -> Result<Vec<MountFacts>, HelperError> {
    Ok(inside(init(place)?, &place.path, |here| {
        Ok(here.mounts.read()?.covering(here.path).into_iter().map(mount_facts).collect())
    })?)
}

/// Every mount in the container's namespace.
pub(super) fn all_mounts(place: &Place) -> Result<Vec<MountFacts>, HelperError> {
    Ok(MountTable::of(init(place)?)?.0.iter().map(mount_facts).collect())
}

/// How full a filesystem is, and whose it is.
pub(super) fn filesystem(place: &Place, dir: &Path) -> Result<FsFacts, HelperError> {
    let target = init(place)?;
    let usage = inside(target, &place.path, |here| FsUsage::of(here.path))?;
    Ok(FsFacts {
        dev: usage.dev.into(),
        bytes_total: usage.bytes_total,
        bytes_free: usage.bytes_free,
        bytes_available: usage.bytes_available,
        inodes_total: usage.inodes_total,
        inodes_free: usage.inodes_free,
        read_only: usage.read_only,
        is_host: is_host(target, &place.path, dir)?,
        fs_type: usage.fs_type,
    })
}

/// Whether the superblock under `path` also holds the run's directory, which lies in the engine's
/// data root, or the host's `/`.
///
/// An overlay keeps what is written to it in its upper directory, which is the engine's: it counts
/// as the host's own. Superblocks are compared as mountinfo names them, since a file's `st_dev`
/// differs from subvolume to subvolume on btrfs.
pub(super) fn is_host(target: Identity, path: &str, dir: &Path) -> HostResult<bool> {
    let (dev, fs_type) = inside(target, path, |here| {
        let table = here.mounts.read()?;
        let mount = table.covering(here.path);
        Ok(mount.map(|mount| (mount.dev, mount.fs_type.clone())).unwrap_or_default())
    })?;
    // what an interposer hands on to may be the host's: nobody fills it through one
    if fs_type == "overlay" || fs_type == crate::host::fuse::FS_TYPE {
        return Ok(true);
    }
    let own = MountTable::of(Identity::of(std::process::id())?)?;
    let mut hosts: Vec<(u32, u32)> = own.covering(dir).map(|mount| mount.dev).into_iter().collect();
    if let Some(engine) = engine::process() {
        let table = MountTable::of(engine)?;
        hosts.extend(table.covering(Path::new("/")).map(|mount| mount.dev));
    }
    Ok(hosts.contains(&dev))
}

/// One file, or `None` where there is none.
pub(super) fn file(
    place: &Place,
    digest: bool,
    content: u64,
) -> Result<Option<FileFacts>, HelperError> {
    let found = beside(init(place)?, &place.path, |path| {
        let summary = FileSummary::of(path)?;
        let regular = summary.kind == file::Kind::File;
        let sha256 = if digest && regular { Some(file::sha256(path, DIGESTED)?) } else { None };
        let content = if content > 0 && regular {
            let bytes = file::read_limited(path, content.min(CONTENT))?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        } else {
            None
        };
        Ok(file_facts(&summary, sha256, content))
    });
    match found {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if error.is(libc::ENOENT) || error.is(libc::ENOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn file_facts(summary: &FileSummary, sha256: Option<String>, content: Option<String>) -> FileFacts {
    let dev = crate::protocol::Dev {
        major: rustix::fs::major(summary.dev),
        minor: rustix::fs::minor(summary.dev),
    };
    FileFacts {
        kind: format!("{:?}", summary.kind).to_lowercase(),
        size: summary.size,
        mode: summary.mode,
        uid: summary.uid,
        gid: summary.gid,
        link: LinkState { dev, inode: summary.inode, links: summary.links },
        mtime_ns: i64::try_from(summary.mtime_ns).unwrap_or(i64::MAX),
        born_ns: summary.born_ns.and_then(|born| i64::try_from(born).ok()),
        sha256,
        content,
    }
}

/// A tree, without what is ours.
pub(super) fn tree(place: &Place) -> Result<TreeFacts, HelperError> {
    let ours = |path: &Path| {
        let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
        name.starts_with(MARKER_PREFIX.as_bytes()) || name.starts_with(PROBE_PREFIX.as_bytes())
    };
    let digest =
        inside(init(place)?, &place.path, |here| file::tree_digest(here.path, &ours, TREE))?;
    Ok(tree_facts(digest))
}

fn tree_facts(digest: TreeDigest) -> TreeFacts {
    let lines = digest.listing.into_iter();
    TreeFacts {
        digest: digest.digest,
        entries: digest.entries,
        bytes: digest.bytes,
        listing: lines.map(|line| (line.path.display().to_string(), line.digest)).collect(),
    }
}

/// Archives that match a pattern.
pub(super) fn archives(
    place: &Place,
    below: Option<&str>,
) -> Result<Vec<ArchiveFacts>, HelperError> {
    let below = below.map(Path::new);
    let found =
        inside(init(place)?, &place.path, |here| archive::archives(here.path, below, TREE))?;
    let facts = found.into_iter().map(|one| ArchiveFacts {
        name: one.name,
        size: one.size,
        broken: one.broken,
        tree: tree_facts(one.tree),
    });
    Ok(facts.collect())
}

/// Descriptors of the container that are open for writing on the mount of this path.
///
/// On any mount of the stack: a clone on top does not reach those that were opened below it.
pub(super) fn writers(place: &Place) -> Result<WriterFacts, HelperError> {
    let target = init(place)?;
    let mounts = inside(target, &place.path, |here| {
        let table = here.mounts.read()?;
        let stack = table.at(here.path);
        let ids: Vec<u64> = stack.iter().map(|mount| mount.id).collect();
        Ok(if ids.is_empty() {
            table.covering(here.path).map(|mount| mount.id).into_iter().collect()
        } else {
            ids
        })
    })?;
    let processes = container_processes(&place.container)?;
    let mut facts = WriterFacts { count: 0, sample: Vec::new() };
    for mount in mounts {
        let where_ = open_files::Place { dev: None, mount: Some(mount) };
        let found = open_writers(&processes, where_);
        facts.count += found.count as u64;
        facts.sample.extend(found.listed.into_iter().map(|writer| OpenFile {
            pid: writer.process.pid,
            command: writer.command,
            path: writer.path.display().to_string(),
        }));
    }
    Ok(facts)
}

/// The errno of a failed attempt, or the failure to attempt.
pub(super) fn refused(error: HostError) -> Result<Option<String>, HelperError> {
    match error.errno() {
        Some(errno) => Ok(Some(errno.name().map_or_else(|| errno.0.to_string(), str::to_owned))),
        None => Err(error.into()),
    }
}

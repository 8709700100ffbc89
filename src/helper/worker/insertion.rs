//! An interposer inserted under a path of a running container, withdrawn, and what escapes it.
//!
//! It goes on top of the mount that is there, over a clone of that: whoever resolves the path from
//! then on comes to it. Withdrawn, it goes on for what was opened through it, without any rule,
//! until that is closed: the fault is over, and the subject's open files are its own. It ends with
//! the last of them, with its container or with the keeper.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::HelperError,
    context::{Context, Done},
    image,
    interpose::{self, ANSWER, DIRECTORY, is_gone, socket, sys},
    interposers::End,
    io_trace,
    mount::{refuse_shared, undone},
    place::{beside, init},
};
use crate::{
    host::{
        container_process::container_processes,
        error::{HostError, HostResult},
        escapes::{Covered, escapes as count},
        fuse,
        mountinfo::{MountEntry, MountTable, Reader},
        process::Identity,
    },
    interpose::{
        Beneath, Setup,
        control::{self, Answer, Ask},
        serve::Serve,
    },
    protocol::{Durability, EscapeFacts, Init, InsertionOp, Outcome, Place},
};

/// Filesystems of the kernel's own: what is in them are no files.
const NO_FILES: [&str; 8] =
    ["cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "proc", "securityfs", "sysfs"];

/// Performs one.
pub(super) fn act(op: &InsertionOp, cx: &Context) -> Done {
    match op {
        InsertionOp::Insert { place, mount, name, mark, expected, traced } => {
            // one plain component
            image::own(&cx.dir, DIRECTORY, name)?;
            let target = init(place)?;
            let below = find(target, place, *mount)?;
            let setup = Setup {
                beneath: Beneath::Covered { target, at: below.at.clone(), mount: *mount },
                device: image::nodes().join("fuse"),
                source: name.clone(),
                mark: mark.clone(),
                options: below.options.split(',').map(str::to_owned).collect(),
                expected: expected.clone(),
                // what was there before us has promises of its own, and none is known
                durability: Durability::default(),
                trace: io_trace::wanted_inserted(&cx.dir, name, *traced)?,
            };
            insert(target, name, &below.at, setup, cx)
        }
        InsertionOp::Withdraw { place, init, name } => withdraw(place, *init, name, cx),
        InsertionOp::Disarm { place, init, name } => disarm(place, *init, name, cx),
    }
}

fn insert(target: Identity, name: &str, at: &Path, setup: Setup, cx: &Context) -> Done {
    let dir = cx.dir.join(DIRECTORY);
    sys("mkdir", &dir, fs::create_dir_all(&dir))?;
    let serve = Serve::Files { setup: Box::new(setup), at: at.to_owned(), within: Some(target) };
    interpose::start(name, serve, End::IsTheContainers, cx)?;
    let cover = MountTable::of(target)?.at(at).last().map(|mount| mount.id);
    let id = cover.ok_or(HostError::Gone { pid: target.pid })?;
    Ok(Outcome::Mounted { id })
}

/// What an interposer is to cover.
struct Below {
    /// The path without symbolic links.
    at: PathBuf,
    /// Options of its mount.
    options: String,
}

/// Looks whether a directory may be covered, and by what it is known to be the one that is meant.
fn find(target: Identity, place: &Place, mount: u64) -> HostResult<Below> {
    let mounts = Reader::open(target)?;
    beside(target, &place.path, |at| {
        let refuse = |detail: String| HostError::NotOurs { path: at.to_owned(), detail };
        let kind = fs::symlink_metadata(at).map_err(|error| HostError::sys("stat", at, error))?;
        if !kind.is_dir() {
            return Err(refuse("an interposer is inserted over directories only".into()));
        }
        let table = mounts.read()?;
        let found = table.covering(at);
        refuse_shared(found, at)?;
        match found {
            Some(found) if found.id != mount => {
                Err(refuse(format!("expected mount {mount}, found {}", found.id)))
            }
            Some(found) => match in_the_way(&table, found, at) {
                None => Ok(Below { at: at.to_owned(), options: found.options.clone() }),
                Some(why) => Err(refuse(why)),
            },
            None => Err(refuse("no mount holds it".into())),
        }
    })
}

fn in_the_way(table: &MountTable, found: &MountEntry, at: &Path) -> Option<String> {
    if NO_FILES.contains(&found.fs_type.as_str()) {
        return Some(format!("it lies on `{}`, which holds no files", found.fs_type));
    }
    if found.fs_type == fuse::FS_TYPE {
        return Some(format!("the interposer `{}` is there already", found.source));
    }
    let below = |mount: &&MountEntry| mount.mount_point != at && mount.mount_point.starts_with(at);
    let hidden = table.0.iter().find(below)?;
    Some(format!("`{}` is mounted below it and would be hidden", hidden.mount_point.display()))
}

/// Puts its rules out of force. One that hangs would hold up whoever undoes something through it.
fn disarm(place: &Place, init: Init, name: &str, cx: &Context) -> Done {
    match control::ask(&socket(&cx.dir, name), &Ask::DisarmAll, ANSWER) {
        Ok(Answer::Done) => Ok(Outcome::Done),
        Ok(other) => Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
        Err(error) if is_gone(&error) => Ok(Outcome::Already),
        Err(_) => withdraw(place, init, name, cx),
    }
}

/// Puts its rules out of force and detaches it, however far it has come.
fn withdraw(place: &Place, init: Init, name: &str, cx: &Context) -> Done {
    cx.interposers.ends(name);
    let wedged = match control::ask(&socket(&cx.dir, name), &Ask::DisarmAll, ANSWER) {
        Ok(Answer::Done) => false,
        Ok(other) => return Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
        Err(error) if is_gone(&error) => {
            // one that does not listen yet would come after all
            interpose::end_processes(name)?;
            false
        }
        Err(_) => true,
    };
    let target = Identity::from(init);
    let taken = take_off(target, place, name, wedged);
    if wedged {
        interpose::end_processes(name)?;
    }
    undone(target, taken)
}

fn take_off(target: Identity, place: &Place, name: &str, wedged: bool) -> HostResult<usize> {
    let mounts = Reader::open(target)?;
    beside(target, &place.path, |at| {
        let table = mounts.read()?;
        let stack = table.at(at);
        let Some(position) = stack.iter().position(|mount| is_ours(mount, name)) else {
            return Ok(0);
        };
        if wedged {
            // first: who waits for a server that hangs holds what a detach may wait for
            fuse::abort(stack[position].dev.1)?;
        }
        if position + 1 < stack.len() {
            let detail = "another mount covers the interposer".to_owned();
            return Err(HostError::NotOurs { path: at.to_owned(), detail });
        }
        fuse::detach(at)?;
        Ok(1)
    })
}

pub(super) fn is_ours(mount: &MountEntry, name: &str) -> bool {
    mount.fs_type == fuse::FS_TYPE && mount.source == name
}

/// What the container's processes hold since before it was inserted.
pub(super) fn escapes(place: &Place, name: &str) -> Result<EscapeFacts, HelperError> {
    let target = init(place)?;
    let mounts = Reader::open(target)?;
    let covered = beside(target, &place.path, |at| {
        let table = mounts.read()?;
        let stack = table.at(at);
        let cover = stack.iter().find(|mount| is_ours(mount, name));
        let covered =
            cover.map(|cover| Covered { at: at.to_owned(), mount: cover.parent, cover: cover.dev });
        covered.ok_or_else(|| {
            let detail = format!("the interposer `{name}` is not there");
            HostError::NotOurs { path: at.to_owned(), detail }
        })
    })?;
    let found = count(&container_processes(&place.container)?, &covered);
    let (files, directories, maps) = (found.files, found.directories, found.maps);
    Ok(EscapeFacts { files, directories, maps })
}

//! Records of a state, as a program of the subject's reads them: where the state stands in for the
//! volume, in a copy of the subject's mounts that nobody else sees.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use rustix::fs::{Mode, OFlags, open, syncfs};

use super::{
    super::super::{memory_cgroup, place},
    recovered::{LARGEST, Recovered},
};
use crate::{
    host::{
        environment, fuse,
        namespace::{in_copied_ns, in_mount_ns},
        subject_program::{self, Said, Subject},
    },
    protocol::{Place, Reads},
};

/// A program must have ended before a state counts as one that hangs, mount and all.
const WITHIN: Duration = Duration::from_secs(8);
/// The controller of devices on v1; on v2 there is one tree for all.
const DEVICES: &str = "devices";
/// Where programs are, for a service that was started without saying so.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Brings to the disk whatever the subject has written: in its last moment nothing is lost then, and
/// a program that does not read that says nothing of the others.
pub(super) fn settle(reads: &Reads) -> Result<(), String> {
    let Reads::Program { place, .. } = reads else { return Ok(()) };
    let init = place::init(place).map_err(|error| error.to_string())?;
    let settled = in_mount_ns(init, || {
        let root = open(place.path.as_str(), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        syncfs(root)
    });
    let settled = settled.map_err(|error| error.to_string())?;
    settled.map_err(|errno| format!("sync of `{}`: {errno}", place.path))
}

/// Runs the program. An error says nothing of the state.
pub(super) fn read(
    mount: &OwnedFd,
    place: &Place,
    command: &[String],
) -> Result<Recovered, String> {
    let Some((program, args)) = command.split_first() else {
        return Err("there is no program".into());
    };
    let init = place::init(place).map_err(|error| error.to_string())?;
    let subject = Subject::of(init).map_err(|error| error.to_string())?;
    let mut env = environment::of(init).map_err(|error| error.to_string())?;
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".into(), PATH.into()));
    }
    // ours may open every loop device of the host
    let cgroup = memory_cgroup::of(init, DEVICES).and_then(|cgroup| cgroup.door());
    let cgroup = cgroup.map_err(|error| error.to_string())?;
    let limits = (WITHIN, LARGEST);
    let said = in_copied_ns(init, || {
        fuse::attach(mount, Path::new(&place.path))?;
        subject_program::listen(Path::new(program), args, &env, &subject, Some(&cgroup), limits)
    });
    let said = said.and_then(|said| said).map_err(|error| error.to_string())?;
    let Some(said) = said else {
        return Err(format!(
            "`{program}` did not end within {} s, or printed more than {} MiB\n\nhint: let it read less, or \
             have it end the server that it started",
            WITHIN.as_secs(),
            LARGEST >> 20
        ));
    };
    came_to(program, said)
}

/// What its end says of the state.
fn came_to(program: &str, Said { code, output, errors }: Said) -> Result<Recovered, String> {
    let ended = || format!("`{program}` ended with {code}: {errors}");
    match code {
        0 => Ok(Recovered::Records(output)),
        // of a shell, and of the kernel's want of memory: nothing that the state has to do with
        126 | 127 | 137 => Err(format!("`{program}` was not run to its end ({code}): {errors}")),
        // as a shell tells of a signal
        128.. => Ok(Recovered::Crashed(ended())),
        _ => Ok(Recovered::Unreadable(ended())),
    }
}

//! Records of a state, as a program of the subject's reads them: where the state stands in for the
//! volume, in a copy of the subject's mounts that nobody else sees.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use super::{
    super::super::place,
    recovered::{LARGEST, Recovered},
};
use crate::{
    host::{
        environment, fuse,
        namespace::in_copied_ns,
        subject_program::{self, Said, Subject},
    },
    protocol::Place,
};

/// A state hangs after ten seconds, mount and all; a program must have ended before.
const WITHIN: Duration = Duration::from_secs(8);
/// Where programs are, for a service that was started without saying so.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    let said = in_copied_ns(init, || {
        fuse::attach(mount, Path::new(&place.path))?;
        subject_program::listen(Path::new(program), args, &env, &subject, WITHIN, LARGEST)
    });
    match said.and_then(|said| said).map_err(|error| error.to_string())? {
        None => Err(format!("`{program}` did not end within {} s", WITHIN.as_secs())),
        Some(Said { code: 0, output, .. }) => Ok(Recovered::Records(output)),
        Some(Said { code, errors, .. }) => {
            Ok(Recovered::Unreadable(format!("`{program}` ended with {code}: {errors}")))
        }
    }
}

//! What the service needs beside its data: its configuration and its key.
//!
//! Made at the first start only. Where a state exists and they do not, somebody has restored the
//! data without them: a new key would not open what the old one closed, so the file is named and
//! nothing is made up.

use std::fs;
use std::io;
use std::path::Path;

use super::args::{Begin, SpecimenArgs};
use super::session::{MARKER, SessionError, StateFile, replace};

/// Files of the directory.
pub(super) const FILES: [&str; 2] = ["agent.json", "agent.key"];

/// Fails while there is no state, and none may be begun.
pub(super) fn may_begin(args: &SpecimenArgs) -> Result<(), SessionError> {
    let known = || args.identity.iter().any(|dir| FILES.iter().any(|name| dir.join(name).exists()));
    let waits = match args.begin {
        Begin::Always => false,
        Begin::First => known(),
        Begin::Never => true,
    };
    if waits && !StateFile::new(args).exists()? {
        return Err(io::Error::other("the state is not there: waiting for a restore").into());
    }
    Ok(())
}

/// Makes sure that they are there.
pub(super) fn ensure(args: &SpecimenArgs) -> Result<(), SessionError> {
    let Some(dir) = &args.identity else { return Ok(()) };
    let known = args.data.join(MARKER).try_exists()?;
    for name in FILES {
        let path = dir.join(name);
        if path.try_exists()? {
            continue;
        }
        if known {
            return Err(SessionError::Incomplete(path.display().to_string()));
        }
        make(&path, name)?;
    }
    Ok(())
}

fn make(path: &Path, name: &str) -> Result<(), SessionError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let content = if name == FILES[0] {
        "{\"region\":\"eu\"}\n".into()
    } else {
        format!("{:032x}\n", rand::random::<u128>())
    };
    Ok(replace(path, content.as_bytes())?)
}

//! What a new engine is given: our own image, so that there is something to start, and one container
//! that runs, so that there is something to lose.

use std::{io, thread, time::Duration};

use super::{api, say};
use crate::{
    host::own_root::OLD_ROOT,
    runtime::{PROGRAM, SPECIMEN_IMAGE},
};

/// Between two questions whether it answers, and how many of them.
const POLL: Duration = Duration::from_millis(50);
const POLLS: u32 = 1200;

/// The name of the container that runs.
const RESIDENT: &str = "resident";

/// Waits until the engine answers, and furnishes it where nobody has.
pub(super) fn when_it_answers() {
    for _ in 0..POLLS {
        if api::call("GET", "/_ping", "").is_ok_and(|status| status == 200) {
            match furnish() {
                Ok(()) => say("answers"),
                Err(error) => say(&format!("answers, and could not be furnished: {error}")),
            }
            return;
        }
        thread::sleep(POLL);
    }
    say("does not answer");
}

fn furnish() -> io::Result<()> {
    let image = format!("/images/{SPECIMEN_IMAGE}/json");
    if api::call("GET", &image, "")? == 200 {
        return Ok(());
    }
    let libraries = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let change = format!("ENV%20LD_LIBRARY_PATH={libraries}");
    let path =
        format!("/images/create?fromSrc=-&repo={SPECIMEN_IMAGE}&tag=latest&changes={change}");
    api::upload(&path, |sink| {
        let mut tar = tar::Builder::new(sink);
        tar.follow_symlinks(false);
        tar.append_dir_all(".", OLD_ROOT)?;
        tar.finish()
    })?;
    expect(200, api::call("GET", &image, "")?, "image")?;
    let body = format!(
        "{{\"Image\":\"{SPECIMEN_IMAGE}\",\"Entrypoint\":[\"{PROGRAM}\",\"specimen\"],\
         \"HostConfig\":{{\"NetworkMode\":\"none\"}}}}"
    );
    let path = format!("/containers/create?name={RESIDENT}");
    expect(201, api::call("POST", &path, &body)?, "container")?;
    let path = format!("/containers/{RESIDENT}/start");
    expect(204, api::call("POST", &path, "")?, "start of its container")
}

fn expect(wanted: u16, got: u16, what: &str) -> io::Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("its {what}: status {got}")))
}

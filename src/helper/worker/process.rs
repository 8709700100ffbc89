//! The op that ends a container's init from the host.

use super::{
    super::HelperError,
    act::Done,
    place::{find_init, short},
};
use crate::{
    host::process::Identity,
    protocol::{Init, Outcome, Place},
};

/// Kills this very init, and with it every process of its container; refuses another one.
pub(super) fn kill_init(place: &Place, init: Init) -> Done {
    let meant = Identity::from(init);
    if find_init(place)? != Some(meant) {
        let container = short(&place.container);
        return Err(HelperError::Refused(format!(
            "the init of container `{container}` is no longer process {}",
            meant.pid
        )));
    }
    meant.signal(libc::SIGKILL)?;
    Ok(Outcome::Done)
}

//! Who lets nobody look at it, as far as that is known before there is a helper.

use crate::host::superblock_users::closed;

/// The first process of this host, where nobody may look at it. None for whoever is not root: the
/// helper then sees more than we do, and says so itself.
#[must_use]
pub fn closed_here() -> Option<u32> {
    if rustix::process::geteuid().is_root() { closed() } else { None }
}

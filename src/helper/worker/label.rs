//! `SELinux` labels: set, and looked at together with what the policy says of them.

use std::path::PathBuf;

use super::{
    super::HelperError,
    engine,
    place::{beside, init},
};
use crate::{
    host::selinux,
    protocol::{LabelFacts, Place, Ready},
};

/// Where the policy is asked (selinux(8)).
const SELINUXFS: &str = "/sys/fs/selinux";

/// A container has no selinuxfs of its own: it is looked for where the engine sees it.
fn selinuxfs() -> PathBuf {
    let theirs = engine::process()
        .map(|engine| engine.proc_path("root").join(SELINUXFS.trim_start_matches('/')));
    theirs.filter(|path| path.join("enforce").exists()).unwrap_or_else(|| SELINUXFS.into())
}

/// Whether `SELinux` is enforcing here.
pub(super) fn enforcing() -> Ready {
    match std::fs::read_to_string(selinuxfs().join("enforce")) {
        Ok(text) if text.trim() == "1" => Ready::Yes,
        Ok(_) => Ready::No("SELinux is permissive".into()),
        Err(_) => Ready::No("this kernel has no SELinux in force".into()),
    }
}

/// The label of a path, and whether the container's init may write there.
pub(super) fn facts(place: &Place) -> Result<LabelFacts, HelperError> {
    let target = init(place)?;
    let found = beside(target, &place.path, |path| {
        let directory = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        Ok((selinux::label(path)?, directory))
    })?;
    let (Some(label), directory) = found else { return Ok(LabelFacts::default()) };
    let subject = selinux::subject(target)?;
    let class = if directory { "dir" } else { "file" };
    let may_write = selinux::may_write(&selinuxfs(), &subject, &label, class)?;
    Ok(LabelFacts { label: Some(label), subject, may_write })
}

//! `hidden-files`: a mount stands where the image has files of its own.

use crate::audit::{Rule, Seen, Subject, Weight};

pub(super) const RULE: Rule = Rule {
    name: "hidden-files",
    weight: Weight::Caution,
    about: "A mount hides files of the image.",
    risk: "The service does not see what its image brings along, and finds it again when the mount is lost.",
    proof: "mount/shadowed-mount",
    shows: "shadow-mount",
    keys: &[],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let mounts = subject.choices.mounts.iter().filter_map(|mount| {
        let hidden = subject.hidden.get(&mount.destination).filter(|hidden| hidden.files > 0)?;
        let files = if hidden.files == 1 { "a file" } else { "files" };
        Some(Seen::at(
            mount,
            format!(
                "{} lies over {files} of the image: {}, `{}` first",
                mount.words(),
                hidden.files,
                hidden.first
            ),
        ))
    });
    mounts.collect()
}

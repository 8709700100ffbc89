//! `overlay`: an overlay filesystem of the run's own, with the options given.
//!
//! Lower, upper and work directory are made in the run's directory, and removed with all that is in
//! them; another volume can be the lower one. The engine mounts it. What is written lands on the
//! engine's own disk.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filesystem, Provision, Volume, VolumeError};
use crate::{
    protocol::{Capability, Entry, Op, Outcome},
    runtime::{MountSource, VolumeSpec},
    units::Size,
};

/// An overlay of the run's own, with mount options of your choice.
///
/// Its lower layer holds as many items as asked for: directories `item-00000`, … with one file
/// `data` each. Nothing of it has been copied up when the service starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Items in the lower layer.
    #[serde(default)]
    items: u32,
    /// Size of the file of an item; empty without it.
    #[serde(default)]
    item_size: Size,
    /// A `bind` volume to lie on, instead of a lower layer that nobody else sees. What others write
    /// there shows through, and raises no event.
    lower: Option<String>,
    /// Mount options, such as `[redirect_dir=on, metacopy=on, index=off]`.
    #[serde(default)]
    options: Vec<String>,
}

/// More items than this say nothing more, and take long to remove.
const MOST_ITEMS: u32 = 100_000;
const MOST_SIZE: Size = Size(1 << 20);
/// Options that say where the layers are: those are the run's own.
const OURS: [&str; 4] = ["lowerdir", "upperdir", "workdir", "datadir"];
const MODE: u32 = 0o755;

impl Overlay {
    /// One entry: the directories that are its own, the items, and the removal of it all.
    fn entry(&self, cx: &Provision<'_>) -> Entry {
        let beneath = beneath(cx);
        let name = |layer: &str| format!("{}-{layer}", cx.object);
        let make =
            |layer| Op::CreateBind { name: name(layer), mode: MODE, uid: 0, gid: 0, label: None };
        let remove = |layer| Op::RemoveBind { name: name(layer) };
        let own = ["lower", "upper", "work"].into_iter().skip(usize::from(beneath.is_some()));
        let seeded = beneath.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        let seed = Op::SeedBind {
            name: seeded.unwrap_or_else(|| name("lower")),
            items: self.items,
            size: self.item_size.0,
        };
        Entry {
            what: format!("layers of volume {}", cx.name),
            ops: own.clone().map(make).chain([seed]).collect(),
            undo: own.rev().map(remove).collect(),
            expires_ms: None,
        }
    }

    fn mount_options(&self, [lower, upper, work]: [&str; 3]) -> String {
        let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        [&[layers][..], &self.options].concat().join(",")
    }
}

/// The directory of the volume that it lies on.
fn beneath<'a>(cx: &Provision<'a>) -> Option<&'a str> {
    match cx.beneath {
        Some(MountSource::Bind { path }) => Some(path),
        _ => None,
    }
}

impl Volume for Overlay {
    const NEEDS: &'static [Capability] = &[Capability::Overlay];
    const EXAMPLE: &'static str = "overlay: { items: 500, options: [metacopy=on] }";

    fn filesystem(&self) -> Option<Filesystem> {
        None
    }

    fn shares_host(&self) -> bool {
        true
    }

    fn beneath(&self) -> Option<&str> {
        self.lower.as_deref()
    }

    fn check(&self, _: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.items > MOST_ITEMS {
            let items = self.items;
            wrong.push(format!("{items} items are too many\n\nhint: write {MOST_ITEMS} or less"));
        }
        if self.item_size > MOST_SIZE {
            let size = self.item_size;
            wrong.push(format!("items of {size} are too large\n\nhint: write up to {MOST_SIZE}"));
        }
        for option in &self.options {
            let name = option.split('=').next().unwrap_or_default();
            if option.is_empty() || option.contains(',') {
                wrong.push(format!(
                    "`{option}` is not one mount option\n\nhint: write a list: `[redirect_dir=on, \
                     metacopy=on]`"
                ));
            } else if OURS.contains(&name) {
                wrong.push(format!(
                    "`{name}` is a directory that the run makes\n\nhint: leave it out"
                ));
            }
        }
        wrong
    }

    async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
        let applied = cx.helper.apply(self.entry(cx)).await?;
        let made = applied.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Directory { host_path } => Some(host_path.as_str()),
            _ => None,
        });
        let paths: Vec<&str> = beneath(cx).into_iter().chain(made).collect();
        let Ok(layers) = <[&str; 3]>::try_from(paths) else {
            return Err(VolumeError::Unexpected(format!("{:?}", applied.outcomes)));
        };
        let options = BTreeMap::from([
            ("type".to_owned(), "overlay".to_owned()),
            ("device".to_owned(), "overlay".to_owned()),
            ("o".to_owned(), self.mount_options(layers)),
        ]);
        let spec = VolumeSpec {
            name: cx.object.clone(),
            driver: "local".into(),
            options,
            labels: cx.labels.clone(),
        };
        cx.runtime.create_volume(&spec).await?;
        Ok(MountSource::Volume { name: spec.name, no_copy: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing::Fake, volumes::tests::provision};

    fn overlay(yaml: &str) -> Overlay {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn the_layers_are_the_runs_and_go_with_it() {
        let fake = Fake::default();
        let entry = overlay("{ items: 3, item_size: 4KiB }").entry(&provision(&fake));
        assert_eq!(entry.ops.len(), 4);
        assert!(matches!(&entry.ops[3], Op::SeedBind { items: 3, size: 4096, .. }));
        assert!(entry.undo.iter().all(|op| matches!(op, Op::RemoveBind { .. })));
        assert_eq!(entry.undo.len(), 3);
    }

    #[tokio::test]
    async fn another_volume_can_be_the_lower_layer_and_is_not_removed_with_it() {
        let fake = Fake::default();
        let base = MountSource::Bind { path: "/run-dir/kh-r1-base".into() };
        let cx = Provision { beneath: Some(&base), ..provision(&fake) };
        let overlay = overlay("{ lower: base, items: 1 }");
        assert_eq!(overlay.beneath(), Some("base"));
        overlay.provision(&cx).await.unwrap();
        let applied = &fake.world().applied;
        assert_eq!(applied[0].undo.len(), 2);
        let seed = |op: &Op| matches!(op, Op::SeedBind { name, .. } if name == "kh-r1-base");
        assert!(applied[0].ops.iter().any(seed), "{applied:?}");
    }

    #[test]
    fn options_follow_the_layers() {
        let overlay = overlay("{ options: [metacopy=on, index=off] }");
        assert_eq!(
            overlay.mount_options(["/l", "/u", "/w"]),
            "lowerdir=/l,upperdir=/u,workdir=/w,metacopy=on,index=off"
        );
    }

    #[test]
    fn static_complaints() {
        assert!(overlay("{ items: 500, options: [metacopy=on] }").check(false).is_empty());
        assert_eq!(overlay("{ options: [\"a,b\", upperdir=/x] }").check(false).len(), 2);
        assert_eq!(overlay("{ items: 200000, item_size: 2MiB }").check(false).len(), 2);
    }
}

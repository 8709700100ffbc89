//! What I/O faults do where no interposer lies under the path: they insert one for as long as they
//! last.
//!
//! Mechanism: a filesystem of ours goes on top of the directory in the container's own mount
//! namespace, over a clone of what was there. Blast radius: that namespace. What is open, mapped or a
//! working directory already escapes it, is counted and said. Undone by disarming its rules and
//! detaching it; what was opened through it goes on without rules until it is closed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Effect, FaultError, Prepared, Scope, Target,
    io::{Aim, Before},
    unexpected,
};
use crate::{
    protocol::{
        EscapeFacts, FileId, Init, InsertionOp, IoRule, MountFacts, Op, Place, Read, Reading,
    },
    volumes::{Layer, VolumeSpec, mark, object_name},
};

/// Where one was inserted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inserted {
    /// The init whose namespace was changed.
    init: Init,
    /// The directory that was there before.
    root: FileId,
}

/// A change must come back by then.
const PATIENCE_MS: u64 = 500;
/// Who goes on after the run gets so much time to close what it opened meanwhile.
const CLOSING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

impl Aim<'_> {
    /// One is to be inserted.
    pub(super) fn inserts(&self) -> bool {
        self.insert == Some(true)
    }

    /// The widest thing that is touched.
    pub(super) fn scope(&self) -> Scope {
        if self.inserts() { Scope::Container } else { Scope::Volume }
    }

    /// What is wrong with inserting one at this target.
    pub(super) fn check_insertion(&self, declared: &Declared<'_>) -> Vec<String> {
        let (name, Target { path, .. }) = (self.name, self.target);
        let mut wrong = Vec::new();
        if path.as_deref() == Some("/") {
            wrong.push(format!(
                "`{}` is the root of the container, and nothing inserted there reaches a process \
                 that runs already\n\nhint: name the directory of the files that are to be struck",
                self.target
            ));
        }
        if declared.volume.and_then(VolumeSpec::interpose) == Some(Layer::File) {
            wrong.push(format!(
                "`{name}` needs nothing inserted: an interposer lies under the volume at `{}` from \
                 the start\n\nhint: leave `insert` out, or `interpose: file`",
                self.target
            ));
        }
        wrong
    }

    /// Looks where one goes, and says how it comes there.
    pub(super) async fn prepare_insertion(
        &self,
        cx: &Cx<'_>,
        set: String,
        rules: Vec<IoRule>,
    ) -> Result<Prepared<Before>, FaultError> {
        let root = match &cx.site.volume {
            Some(volume) => Place { path: volume.mount_point.clone(), ..cx.site.place.clone() },
            None => cx.site.place.clone(),
        };
        let id = directory(cx, &root).await?;
        let (mount, init) = (cx.mount_of(&root).await?, cx.init().await?);
        let took_us = vec![answers(cx, &root).await?];
        let name = object_name(cx.run, &format!("insert-{set}"));
        let insert = InsertionOp::Insert {
            place: root.clone(),
            mount: mount.id,
            mark: mark(&name),
            name: name.clone(),
            expected: rules.clone(),
            traced: cx.traced,
        };
        let (interposer, seed) = (name.clone(), cx.seed);
        let arm = Op::ArmRules { interposer, set: set.clone(), seed, rules, again: None };
        let withdraw = InsertionOp::Withdraw { place: root.clone(), init, name: name.clone() };
        let inserted = Some(Inserted { init, root: id });
        let before = Before { interposer: name, set, root, took_us, inserted };
        let (ops, undo) = (vec![Op::Insertion(insert), arm], vec![Op::Insertion(withdraw)]);
        Ok(Prepared { before, ops, undo })
    }

    /// Whether an inserted one is gone, and what it has done; none where none was inserted.
    pub(super) async fn withdrawn(
        &self,
        before: &Before,
        cx: &Cx<'_>,
    ) -> Result<Option<Effect>, FaultError> {
        let Some(inserted) = &before.inserted else { return Ok(None) };
        if cx.init().await? != inserted.init {
            let anew = "the container was started anew, and its mounts with it";
            return Ok(Some(Effect::proven(anew)));
        }
        let root = before.root(cx);
        let (mount, found) = (cx.mount_of(&root).await?, cx.file_id(&root).await?);
        if is_ours(&mount, before) || found != Some(inserted.root) {
            let evidence =
                format!("`{}` is still {} of {}", root.path, mount.fs_type, mount.source);
            return Ok(Some(Effect::unproven(evidence)));
        }
        let effect = self.reached(before, cx).await?;
        let open = self.still_open(before, cx).await?;
        Ok(Some(match open {
            0 => effect,
            open if cx.attached => Effect::unproven(format!(
                "{open} files that were opened meanwhile go through it, and fail when the run ends: \
                 restart `{}`",
                cx.site.service
            )),
            open => effect.note(format!(
                "{open} files that were opened meanwhile go through it until they are closed; no \
                 rule strikes them"
            )),
        }))
    }
}

impl Aim<'_> {
    /// Files that still go through a withdrawn one. A container of the run's takes them along; one
    /// that goes on afterwards gets some time to close them.
    async fn still_open(&self, before: &Before, cx: &Cx<'_>) -> Result<u64, FaultError> {
        let end = tokio::time::Instant::now() + CLOSING;
        loop {
            let open = cx.rule_facts(before).await?.map_or(0, |facts| facts.open);
            if open == 0 || !cx.attached || tokio::time::Instant::now() >= end {
                return Ok(open);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Before {
    /// An inserted interposer is where it was inserted: what is tried elsewhere would be real.
    pub(super) async fn must_be_there(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        if self.inserted.is_none() {
            return Ok(());
        }
        let root = self.root(cx);
        let mount = cx.mount_of(&root).await?;
        if is_ours(&mount, self) {
            return Ok(());
        }
        Err(FaultError::Refused(format!(
            "no interposer of this fault covers `{}` in `{}`: it is {} of {}",
            root.path, cx.site.service, mount.fs_type, mount.source
        )))
    }

    /// Says what an inserted one does not reach.
    pub(super) async fn with_escapes(
        &self,
        effect: Effect,
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if self.inserted.is_none() {
            return Ok(effect);
        }
        let read = Read::Escapes { place: self.root(cx), interposer: self.interposer.clone() };
        match cx.helper.read(read).await? {
            Reading::Escapes(facts) if facts == EscapeFacts::default() => Ok(effect),
            Reading::Escapes(facts) => Ok(effect.note(words(facts))),
            other => Err(unexpected(&other)),
        }
    }
}

fn is_ours(mount: &MountFacts, before: &Before) -> bool {
    mount.source == before.interposer
}

/// `2 open files, 1 working directory from before escape it`.
fn words(facts: EscapeFacts) -> String {
    let EscapeFacts { files, directories, maps } = facts;
    let counted = [
        (files, "open file", "open files"),
        (directories, "working directory", "working directories"),
        (maps, "mapped file", "mapped files"),
    ];
    let some = counted.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = some
        .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
        .collect();
    let escape = if files + directories + maps == 1 { "escapes" } else { "escape" };
    format!("{} from before {escape} it", parts.join(", "))
}

/// The directory that is to be covered.
async fn directory(cx: &Cx<'_>, root: &Place) -> Result<FileId, FaultError> {
    let (path, service) = (&root.path, &cx.site.service);
    let refused = match cx.file(root).await? {
        Some(facts) if facts.kind == "directory" => {
            return Ok(FileId { dev: facts.link.dev, inode: facts.link.inode });
        }
        Some(facts) => format!(
            "`{path}` in `{service}` is no directory but a {}, and an interposer is inserted over \
             directories only\n\nhint: name the directory that holds it, and `files` to narrow the \
             fault",
            facts.kind
        ),
        None => format!("there is no `{path}` in `{service}`"),
    };
    Err(FaultError::Refused(refused))
}

/// How long a change takes as it is, in microseconds.
async fn answers(cx: &Cx<'_>, root: &Place) -> Result<u64, FaultError> {
    let read = Read::Answers { place: root.clone(), within_ms: PATIENCE_MS };
    match cx.helper.read(read).await? {
        Reading::Answered(Some(took_us)) => Ok(took_us),
        Reading::Answered(None) => Err(FaultError::Refused(format!(
            "a change at `{}` is not back after {PATIENCE_MS} ms as it is",
            root.path
        ))),
        other => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{
            Fault as _,
            io_error::IoError,
            testing::{self, Fake},
        },
        protocol::RuleFacts,
    };

    const INSERTED: &str = "{ target: 'agent:/data/wal', insert: true }";

    fn fault(yaml: &str) -> IoError {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn directory(inode: u64) -> crate::protocol::FileFacts {
        let mut facts = testing::file(inode, 2);
        facts.kind = "directory".into();
        facts
    }

    fn armed() -> Option<RuleFacts> {
        Some(RuleFacts { armed: true, ..RuleFacts::default() })
    }

    #[tokio::test]
    async fn it_covers_the_volume_and_its_rules_lie_below() {
        let (fake, site) = (Fake::default(), testing::site("/data/wal", "docker: {}"));
        let (cx, fault) = (fake.cx(&site), fault(INSERTED));
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "nothing there");
        fake.world().files.insert("/data".into(), testing::file(2, 1));
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "a file");
        fake.world().files.insert("/data".into(), directory(2));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::Insertion(InsertionOp::Insert { place, name, expected, .. }), arm] = &ops[..]
        else {
            panic!("{ops:?}")
        };
        assert_eq!((place.path.as_str(), &expected[0].paths[0][..]), ("/data", "wal"));
        assert!(matches!(arm, Op::ArmRules { interposer, .. } if interposer == name));
        assert!(matches!(
            &undo[..],
            [Op::Insertion(InsertionOp::Withdraw { name: undone, .. })] if undone == name
        ));
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 30));
        fake.world().beneath.interposed.rules = armed();
        assert!(fault.verify(&before, &[], &cx).await.is_err(), "it does not cover the path");
        let mut cover = testing::mount("/data", "fuse.keelhaul");
        cover.source.clone_from(name);
        fake.world().mounts.get_mut("/data").unwrap().push(cover);
        fake.world().beneath.interposed.escapes = EscapeFacts { files: 2, directories: 1, maps: 0 };
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven, "{effect:?}");
        assert_eq!(effect.notes, ["2 open files, 1 working directory from before escape it"]);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven, "still there");
    }

    #[tokio::test]
    async fn what_reached_nobody_says_so_and_what_did_not_outlive_the_container_is_gone() {
        let (fake, site) = (Fake::default(), testing::bare("/srv"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/srv', insert: true }"));
        fake.world().files.insert("/srv".into(), directory(2));
        let Prepared { before, ops, .. } = fault.prepare(&cx).await.unwrap();
        let [Op::Insertion(InsertionOp::Insert { expected, .. }), _] = &ops[..] else { panic!() };
        assert_eq!(expected[0].paths, ["**"]);
        fake.world().beneath.interposed.rules = Some(RuleFacts::default());
        let nobody = fault.verify_reverted(&before, &cx).await;
        let Err(FaultError::ReachedNobody(why)) = nobody else { panic!("{nobody:?}") };
        assert!(why.contains("escapes it"), "{why}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, open: 3, ..RuleFacts::default() });
        let effect = fault.verify_reverted(&before, &cx).await.unwrap();
        assert!(effect.proven && effect.notes[0].starts_with("3 files"), "{effect:?}");
        fake.world().files.insert("/srv".into(), directory(3));
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven, "another directory");
        fake.world().init.start_time += 1;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven, "started anew");
    }

    #[test]
    fn where_it_is_not_needed_or_reaches_nobody_it_is_refused() {
        let count = |target: &str, volume: Option<&str>| {
            let volume = volume.map(testing::volume_spec);
            let volume = volume.as_ref();
            let declared = Declared { volume, is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: '{target}', insert: true }}")).check(&declared).len()
        };
        assert_eq!(count("agent:/data", Some("docker: {}")), 0);
        assert_eq!(count("agent:/data", Some("tmpfs: { size: 4MiB }")), 0);
        assert_eq!(count("agent:/srv", None), 0);
        assert_eq!(count("agent:/", None), 1);
        assert_eq!(count("agent", None), 1);
        assert_eq!(count("agent:/data", Some("docker: { interpose: file }")), 1);
    }
}

//! What `ownership` and `mode` share: the file before, and whether a change of it reaches the
//! service.
//!
//! A process with `CAP_DAC_OVERRIDE` passes every permission check: facts that changed say nothing of
//! what it can still do, so it is tried with its own credentials.

use serde::{Deserialize, Serialize};

use super::{Cx, Effect, FaultError, capacity, observe::tried};
use crate::protocol::{Access, AccessFacts, FileFacts, FileId, FileOwner};

/// A file, and what the service may do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Which file.
    pub(super) file: FileId,
    /// Its owner.
    pub(super) owner: FileOwner,
    /// Its permission and set-id bits.
    pub(super) mode: u32,
    /// What the container's init may do.
    access: AccessFacts,
}

impl Before {
    /// Looks at the target.
    pub(super) async fn of(cx: &Cx<'_>) -> Result<(Self, FileFacts), FaultError> {
        cx.running().await?;
        let (path, service) = (&cx.site.place.path, &cx.site.service);
        let Some(facts) = cx.file(&cx.site.place).await? else {
            return Err(FaultError::Refused(format!("there is no `{path}` in `{service}`")));
        };
        if !["file", "directory"].contains(&facts.kind.as_str()) {
            return Err(FaultError::Refused(format!(
                "`{path}` is a {} in `{service}`\n\nhint: name a file or a directory",
                facts.kind
            )));
        }
        let before = Self {
            file: id(&facts),
            owner: owner(&facts),
            mode: facts.mode,
            access: cx.access(&cx.site.place).await?,
        };
        Ok((before, facts))
    }

    /// The same file, as it is now; or what became of it.
    pub(super) async fn same_file(
        &self,
        cx: &Cx<'_>,
    ) -> Result<Result<FileFacts, String>, FaultError> {
        let path = &cx.site.place.path;
        Ok(match cx.file(&cx.site.place).await? {
            None => Err(format!("`{path}` is gone")),
            Some(facts) if self.is_it(id(&facts)) => Ok(facts),
            Some(_) => Err(format!("`{path}` is another file now")),
        })
    }

    /// A layer of a container has another number whenever that starts, and its files have theirs: what
    /// may be the same file is looked at.
    fn is_it(&self, now: FileId) -> bool {
        let anew = now.dev.major == 0 && self.file.dev.major == 0;
        now.inode == self.file.inode && (anew || now.dev == self.file.dev)
    }

    /// Judges a change that stat(2) shows: `changed` says what it shows.
    pub(super) async fn judge(&self, changed: &str, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let now = cx.access(&cx.site.place).await?;
        let evidence = format!("{changed}; uid {}: {}", now.uid, words(&now.own));
        let hidden = now.own == self.access.own && now.bare != self.access.bare;
        if now.own != now.bare || hidden {
            return Ok(Effect::unproven(format!(
                "{evidence}: its capabilities override permission checks, and without them {}\
                 \n\nhint: run `{}` with `user:`, or with `cap_drop: [DAC_OVERRIDE]`",
                words(&now.bare),
                cx.site.service
            )));
        }
        let effect = Effect::proven(evidence);
        Ok(if now.own == self.access.own {
            effect.note("it may do there what it could before")
        } else {
            effect
        })
    }

    /// Judges the way back: `look` says why the file is not as it was.
    pub(super) async fn judge_reverted(
        &self,
        cx: &Cx<'_>,
        look: impl Fn(&FileFacts) -> (bool, String),
    ) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        Ok(match self.same_file(cx).await? {
            // what the subject put there instead was never changed
            Err(gone) => Effect::proven(gone),
            Ok(facts) => {
                let (proven, evidence) = look(&facts);
                Effect { proven, evidence, notes: Vec::new() }
            }
        })
    }
}

fn id(facts: &FileFacts) -> FileId {
    FileId { dev: facts.link.dev, inode: facts.link.inode }
}

/// Its owner.
pub(super) fn owner(facts: &FileFacts) -> FileOwner {
    FileOwner { uid: facts.uid, gid: facts.gid }
}

fn words(access: &Access) -> String {
    let (read, write) = (tried(access.read.as_ref()), tried(access.write.as_ref()));
    format!("reading {read}, writing {write}")
}

//! What `remove-file` and `replace-file` share: the file that is kept beside its name, and how to
//! see that it went there and came back.

use serde::{Deserialize, Serialize};

use super::{
    Cx, Effect, FaultError, Prepared, capacity,
    observe::{parent, sibling},
};
use crate::protocol::{FileFacts, FileId, Op, Place};

/// The file that had the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    file: FileId,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// Where the name leads.
pub(super) enum Now {
    /// Nowhere.
    Nothing,
    /// To the file that had it before.
    Same,
    /// To another file, of this size.
    Other(FileFacts),
}

fn id(facts: &FileFacts) -> FileId {
    FileId { dev: facts.link.dev, inode: facts.link.inode }
}

impl Before {
    /// Takes the name from its file, and gives it to a new one if there is `content`.
    pub(super) async fn prepare(
        cx: &Cx<'_>,
        content: Option<&String>,
    ) -> Result<Prepared<Self>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let facts = cx.file(&place).await?.filter(|facts| facts.kind == "file");
        let Some(facts) = facts else {
            return Err(FaultError::Refused(format!(
                "`{}` is no file in `{}`",
                place.path, cx.site.service
            )));
        };
        let before = Self { file: id(&facts), size: facts.size };
        let kept = before.kept(cx);
        if cx.file(&before.kept_place(cx)).await?.is_some() {
            return Err(FaultError::Refused(format!(
                "`{}` is under a fault of this kind already",
                place.path
            )));
        }
        let content = content.cloned();
        let undo = vec![Op::PutBack {
            place: place.clone(),
            dev: Some(before.file.dev),
            kept: kept.clone(),
            content: content.clone(),
        }];
        let ops = vec![Op::SetAside { place, file: before.file, kept, content }];
        Ok(Prepared { before, ops, undo })
    }

    /// Unique to the run and the file: what has this name is ours.
    fn kept(&self, cx: &Cx<'_>) -> String {
        format!("{}-kept-{}", cx.marker(), self.file.inode)
    }

    fn kept_place(&self, cx: &Cx<'_>) -> Place {
        let place = &cx.site.place;
        let dir = parent(&place.path).trim_end_matches('/');
        sibling(place, &format!("{dir}/{}", self.kept(cx)))
    }

    /// Whether the file lies beside its name. The subject may replace files itself; this it does
    /// not do.
    pub(super) async fn is_kept(&self, cx: &Cx<'_>) -> Result<bool, FaultError> {
        Ok(cx.file_id(&self.kept_place(cx)).await? == Some(self.file))
    }

    /// Where the name leads now.
    pub(super) async fn now(&self, cx: &Cx<'_>) -> Result<Now, FaultError> {
        Ok(match cx.file(&cx.site.place).await? {
            None => Now::Nothing,
            Some(facts) if id(&facts) == self.file => Now::Same,
            Some(facts) => Now::Other(facts),
        })
    }

    /// Looks whether the file has its name back, or lost it to a file of the subject's own.
    pub(super) async fn reverted(&self, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        if cx.file(&self.kept_place(cx)).await?.is_some() {
            return Ok(Effect::unproven("the file still lies beside its name"));
        }
        Ok(match self.now(cx).await? {
            Now::Nothing => Effect::unproven("the name leads nowhere"),
            Now::Same => Effect::proven(format!("inode {} has its name back", self.file.inode)),
            Now::Other(facts) => Effect::proven(format!(
                "the subject has put a file of its own there: inode {}",
                facts.link.inode
            )),
        })
    }
}

//! A fault in force, as a guard.

use std::sync::Arc;

use super::{Error, session::Session};
use crate::run::Injected;

/// A fault that was seen to be in force, or to have happened.
///
/// Dropped, it is reverted, which nobody waits for: only [`heal`](Self::heal) can say that it is gone.
/// Reverts that follow each other so keep their order, and the end of the subject waits for all of them.
///
/// When its time was up before, whoever held it has tested nothing since: [`heal`](Self::heal) says so, and
/// where it is only dropped, [`Subject::close`](super::Subject::close) does.
#[must_use = "the fault is reverted as soon as this is dropped"]
pub struct InForce {
    session: Arc<Session>,
    injected: Injected,
    /// There is something to revert.
    lasts: bool,
}

impl InForce {
    pub(super) fn new(session: Arc<Session>, injected: Injected) -> Self {
        if injected.lasts {
            session.guards.hold(&injected.id);
        }
        Self { session, lasts: injected.lasts, injected }
    }

    /// What the record calls it: `read-only-1`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.injected.id
    }

    /// What was seen of its effect.
    #[must_use]
    pub fn evidence(&self) -> &str {
        &self.injected.evidence
    }

    /// Reverts it, and sees that it is gone; says what was seen. An event is over as it is.
    ///
    /// # Errors
    /// When it was not seen to be gone, had ended before, or another fault lies on top of it.
    pub async fn heal(mut self) -> Result<String, Error> {
        if !self.lasts {
            return Ok("an event is over as soon as it happened".to_owned());
        }
        let id = self.injected.id.clone();
        let gone = self.session.on(|live| async move { live.revert(&id).await }).await?;
        self.session.guards.healed(&self.injected.id);
        self.lasts = false;
        Ok(gone)
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        if self.lasts {
            self.session.let_go(&self.injected.id);
        }
    }
}

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InForce({}: {})", self.injected.id, self.injected.evidence)
    }
}

//! What probes share: the subject's container, and whether it is down. Changes nothing.

use super::{ProbeCx, ProbeError, Sample};
use crate::{
    helper::HelperError,
    protocol::{Place, Read, Reading},
    runtime::{RuntimeError, State},
};

/// What a probe that found no answer says.
pub(super) const NEVER: &str = "it was never created";

/// The sample of a subject that cannot answer because it does not run; none when it runs.
pub(super) async fn down(cx: &dyn ProbeCx, place: &Place) -> Result<Option<Sample>, ProbeError> {
    match cx.runtime().inspect(&place.container).await {
        Ok(facts) if facts.state == State::Running => Ok(None),
        Ok(facts) => {
            let state = format!("{:?}", facts.state).to_lowercase();
            Ok(Some(Sample::outside(state.clone(), format!("it is {state}"))))
        }
        Err(RuntimeError::Gone { .. }) => Ok(Some(Sample::outside("gone", "it was removed"))),
        Err(error) => Err(error.into()),
    }
}

/// Reads through the helper. A subject that is down is a violation; a lost helper, and anything
/// that a running subject cannot explain, is an error.
pub(super) async fn read(
    cx: &dyn ProbeCx,
    place: &Place,
    read: Read,
) -> Result<Result<Reading, Sample>, ProbeError> {
    match cx.helper().read(read).await {
        Ok(reading) => Ok(Ok(reading)),
        Err(error @ HelperError::Lost(_)) => Err(error.into()),
        Err(error) => match down(cx, place).await? {
            Some(sample) => Ok(Err(sample)),
            None => path_trouble(error).map(Err),
        },
    }
}

/// A path that the subject has lost, or whose filesystem fails, is the subject's state and not our
/// failure to look.
fn path_trouble(error: HelperError) -> Result<Sample, ProbeError> {
    const STATES: [&str; 9] =
        ["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "EIO", "ESTALE", "ENOTCONN", "EUCLEAN", "ENXIO"];
    match &error {
        HelperError::Os { errno, .. } if STATES.contains(&errno.as_str()) => {
            Ok(Sample::outside(errno.clone(), error.to_string()))
        }
        _ => Err(error.into()),
    }
}

/// Takes the reading apart, or says that it is another one than was asked for.
macro_rules! expect_reading {
    ($reading:expr, $variant:path) => {
        match $reading {
            Ok($variant(value)) => value,
            Ok(other) => return Err($crate::probes::unexpected(&other)),
            Err(sample) => return Ok(sample),
        }
    };
}
pub(super) use expect_reading;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<String>);

impl Wrong {
    /// Adds a complaint, when there is one.
    pub(super) fn add(&mut self, violation: Option<String>) {
        self.0.extend(violation);
    }

    /// Adds a complaint unless the condition holds.
    pub(super) fn unless(&mut self, holds: bool, complaint: impl FnOnce() -> String) {
        if !holds {
            self.0.push(complaint());
        }
    }

    /// All of it in one line; none when nothing is wrong.
    pub(super) fn violation(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }

    /// All of it.
    pub(super) fn list(self) -> Vec<String> {
        self.0
    }
}

/// A text shortened to what fits a line of a report.
pub(super) fn brief(text: &str) -> String {
    const MOST: usize = 160;
    let line = text.trim().replace(['\n', '\r', '\t'], " ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The complaint about a probe that asks for nothing.
pub(super) fn expects_nothing(example: &str) -> String {
    format!("the probe expects nothing, so it cannot fail\n\nhint: add `{example}`")
}

/// The complaint about a path that is not absolute.
pub(super) fn relative(path: &str) -> Option<String> {
    (!path.starts_with('/'))
        .then(|| format!("`{path}` is not an absolute path\n\nhint: write it from `/`"))
}

//! What can go wrong in a test, in words that say what to do.

use crate::{
    diagnostic::{self, Diagnostic},
    run::LiveError,
    runtime::{ProgramError, RuntimeError},
    verdict::Verdict,
};

/// Why a test could not do what it wanted, or did not see what it expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Our own binary is not there.
    #[error(
        "the `keelhaul` binary was not found{looked}\n\nhint: `cargo install keelhaul --version {}`, or set KEELHAUL_BIN to its path",
        env!("CARGO_PKG_VERSION")
    )]
    NoProgram {
        /// Where it was looked for.
        looked: String,
    },
    /// Our own binary is another.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The engine, or the container.
    #[error(transparent)]
    Engine(#[from] RuntimeError),
    /// The subject could not be opened; everything was rolled back.
    #[error("`{container}` could not be attached to: {why}")]
    NotAttached {
        /// What was asked for.
        container: String,
        /// Why not.
        why: String,
    },
    /// A fault, a probe, a workload or a time that cannot be read.
    #[error("{0}")]
    Invalid(String),
    /// A fault that was refused, not proven, or not reverted.
    #[error(transparent)]
    Fault(#[from] LiveError),
    /// A probe did not come to hold, or could not be read.
    #[error("{0}")]
    Unmet(String),
    /// Acknowledged records were lost or damaged, or nothing was acknowledged.
    #[error("{0}")]
    Lost(String),
    /// The run came to something else than a pass: a fault that did not last, or an expectation that
    /// did not hold.
    #[error("{verdict}: {why}")]
    NotPassed {
        /// What it came to.
        verdict: Verdict,
        /// Why.
        why: String,
    },
    /// Something is still there; the text names the command that finishes it.
    #[error("{0}")]
    Left(String),
}

impl From<Vec<Diagnostic>> for Error {
    fn from(found: Vec<Diagnostic>) -> Self {
        Self::Invalid(diagnostic::render(&found).trim_end().to_owned())
    }
}

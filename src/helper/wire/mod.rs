//! What travels between command line and keeper, and between keeper and worker.
//!
//! Length-delimited JSON frames, bounded; the first frame each way is a handshake that only the
//! same build passes. Data and framing only: nobody decides or acts here.

mod frame;
mod hello;
mod message;
mod stdio;

pub(crate) use frame::{Incoming, Outgoing, incoming, outgoing};
pub(crate) use hello::{Hello, build_id};
pub(crate) use message::{Answer, Ask, Frame, WorkerAnswer, WorkerAsk};
pub(crate) use stdio::{Input, input, output};

/// Says to a worker that what it undoes was done on another boot.
pub(crate) const OTHER_BOOT: &str = "--other-boot";

/// Why the other side cannot be understood, or is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The stream ended or failed.
    #[error("the connection ended: {0}")]
    Ended(String),
    /// What came is no frame of ours.
    #[error("what came is no message of this protocol: {0}")]
    Garbled(String),
    /// Another build answers.
    #[error("the other side is another build: it is {theirs}, this is {ours}")]
    OtherBuild {
        /// Here.
        ours: String,
        /// There.
        theirs: String,
    },
}

//! The shell that looks at a subject from inside: `ls`, `df`, `mounts` and the like as this binary's
//! own code, in the subject's namespaces. Needs nothing in the subject's image.
//!
//! Runs in a container of our own beside the subject. Each command enters the subject on a
//! throw-away thread and leaves it again: between commands nothing of the subject is held, so no
//! undo finds a mount busy, and a subject that was restarted is simply found again.

mod change;
mod look;
mod parse;
mod process;
mod session;
mod space;
mod target;

pub use session::main;

/// What became of a command that could be understood.
type Done = Result<u8, String>;

//! The service in-process, on real directories and small filesystems: each behaviour, and that
//! its weakness takes it away.

mod denied;
mod harness;
mod links;
mod state;
mod storage;

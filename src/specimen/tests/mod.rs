//! The service in-process, on real directories and small filesystems: each behaviour, and that
//! its weakness takes it away.

mod backup;
mod cluster;
mod config;
mod denied;
mod growth;
mod handover;
pub(super) mod harness;
mod links;
mod state;
mod storage;

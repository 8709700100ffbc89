//! The reference subject: a small agent service, hardened, with one bug per weakness.
//!
//! `keelhaul specimen` runs in the containers of the shipped scenarios. It is also how we say
//! what a service that survives its storage does: each behaviour has a file of its own, and each
//! [`Weakness`] takes exactly one behaviour away again. It is never told which fault is in force.
//!
//! Uses `ledger` to know a record when it sees one, and nothing else of keelhaul.
//!
//! Lines on stdout that a log probe can rely on:
//! - `SOURCE: ENOSPC (No space left on device)`, the errno by name, and `SOURCE: ok again`;
//!   sources are `data`, `logs`, `records`, `state`, `releases`, `links`,
//!   `temp`, `config`, `index`, `shared` and `start`
//! - `state RUNNING -> ERROR` and every other change of state
//! - `start: no d_type in /data: …`
//! - `new session ID`, `resumed session ID, start N`,
//!   `no state found: new session ID; previous state lost`
//! - `flags: not in force on /data: noexec`
//! - `ALARM: volume lost for 30 s`, once
//! - `ALARM: 92% of DIR in use`, once per crossing, of a directory that is only watched
//! - `ALARM: storage takes 612 ms on average`, once until it was faster in between
//! - `controller HOST:PORT: OFFLINE (…)`, and `RUNNING` when it is back
//! - `start: the controller is not ready; again in 2000 ms`
//! - `clock: the sender's is 3600 s ahead`, `clock: the sender's agrees again`
//! - `election: leads term N`, `election: leads term N no more`
//! - `leader: FIRST is gone`, `leader: FIRST does not answer (…)`, and `leader: ok again`
//! - as a controller, `agent NAME: 3 beats missed: RUNNING -> OFFLINE`,
//!   `agent NAME: OFFLINE -> RUNNING`
//! - `links: hard link diverged: …`, `hard link refused: EXDEV (…); copying instead`
//! - `frozen for too long: going on`
//! - of a job: `backup: …`, `backup skipped: …`, `backup FAILED: …`, with its reason, and so for
//!   `restore`, `drill` and `mirror`
//! - `watermark: the journal has lost N bytes after byte M`
//! - `tenant: 900 files left behind, 150 held open`
//! - `shared: writes record N`, `shared: cut N bytes of an unfinished record`
//! - `config: VALUE`, `config: EMFILE (…): polling every 10s`, `config: watched`
//! - `cleanup: 92% in use: deleted N temporary files`, once per crossing
//! - `quota: 86% in use: marked`, then `temporary files frozen`, `temporary files evicted`
//! - `logs: deleted N oldest files because of …`, `journal: cut N torn bytes after byte M`

mod agent;
mod alarm;
mod applog;
mod args;
mod arrival;
mod backoff;
mod backup;
mod cleanup;
mod config;
mod console;
mod controller;
mod d_type;
mod denied;
mod election;
mod errno;
mod fence;
mod follow;
mod freeze;
mod headroom;
mod health;
mod heartbeat;
mod home;
mod http;
mod identity;
mod index;
mod journal;
mod leader;
mod metrics;
mod mount_flags;
mod office;
mod quota;
mod records;
mod releases;
mod roster;
mod rounds;
mod serve;
mod service;
mod session;
mod shared;
mod slowness;
mod space;
mod spool;
mod stop;
mod temp;
mod tenant;
mod terms;
mod uplink;
mod watch;
mod watermark;
mod weakness;

#[cfg(test)]
mod tests;

pub use args::{Begin, Reconnect, SpecimenArgs};
pub use backup::{Job, JobError};
pub use serve::{SpecimenError, serve};
pub use weakness::{Weakness, WeaknessChoice, explanation, table};

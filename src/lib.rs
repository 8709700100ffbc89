//! keelhaul: a chaos and fault-injection test harness for container storage.
//!
//! # Code map
//! Arrows point down only; `tests/it/tidy/layers.rs` checks it.
//!
//! ```text
//! cli > {history, report, audit, starter, testing, gameday} > run > plan > scenario > catalog
//!     > {volumes, faults, probes, workloads} > {helper::client, runtime} > protocol
//! helper::{keeper, worker} > interpose > journal > host > protocol
//! shell, engine > host    (inside their own containers)
//! everything may use {block, crash_state, ledger, units, errno, diagnostic, verdict, secrets,
//!     failpoint, glossary}
//! ```
//!
//! # Invariants
//! 1. `scenario`, `plan`, `report` and every checker are pure: no clock, no Docker, no environment.
//! 2. Only `runtime` imports bollard, only `history` SQLite; only `host` makes privileged system calls.
//! 3. An undo is durable before the act; it checks the identity of what it touches, and is
//!    idempotent.
//! 4. Reports see the run record only, and can be rendered again from the events.
//! 5. Every wait has a deadline, every queue and log a bound, every external call a timeout.
//! 6. The helper executes only what the same build sent; the handshake refuses any other.
//! 7. Everything we create carries `keelhaul.run=<id>`.
//! 8. A random decision is a hash of its circumstances, never a sequential draw.

pub mod audit;
pub mod block;
pub mod catalog;
pub mod cli;
pub mod crash_state;
pub mod diagnostic;
pub mod engine;
pub mod errno;
pub mod failpoint;
pub mod faults;
pub mod gameday;
pub mod glossary;
pub mod helper;
pub mod history;
pub mod host;
pub mod interpose;
pub mod journal;
pub mod ledger;
pub mod plan;
pub mod probes;
pub mod protocol;
pub mod report;
pub mod run;
pub mod runtime;
pub mod scenario;
pub mod secrets;
pub mod shell;
pub mod specimen;
pub mod starter;
pub mod testing;
pub mod units;
pub mod verdict;
pub mod volumes;
pub mod workloads;

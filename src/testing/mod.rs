//! keelhaul for `cargo test`: faults with proof on a container that a test has started.
//!
//! ```
//! use keelhaul::testing::{Http, attach, faults::ReadOnly};
//!
//! # mod service { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/service.rs.inc")); }
//! # #[tokio::main]
//! # async fn main() -> Result<(), keelhaul::testing::Error> {
//! # let mine = service::start().await;
//! # let attach = |_: &str| attach(&mine.id).program(service::program());
//! let subject = attach("my-database").await?;                 // name or id
//! let records = subject.ledger("http: { service: subject }").await?;
//! records.acknowledged(20, "30s").await?;
//! let fault = subject.inject(ReadOnly::at("/data")).await?;   // seen to be in force, or an error
//! subject.expect(Http::get("/health").status(503)).within("10s").await?;
//! fault.heal().await?;                                        // seen to be gone, or an error
//! subject.expect(Http::get("/health")).within("10s").await?;
//! records.judge().await?;                                     // nothing acknowledged is lost
//! subject.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - A fault is in force when [`Subject::inject`] returns it: the effect was seen from within the
//!   container by another system call than the one that injected it. What was not seen is reverted,
//!   and an error.
//! - Nothing stays. A guard that is dropped reverts its fault, a [`Subject`] that is dropped waits until
//!   everything is reverted and our helper is gone, in a test that panics too. When the test process is
//!   killed, the helper notices within 1.5 s that nobody renews its lease, and reverts everything.
//!   Besides, the helper itself reverts every fault when its time is up: a minute, or
//!   [`lasting`](Written::lasting).
//! - What was tested under a fault was tested under it: when its time was up while its guard was alive,
//!   [`heal`](InForce::heal) fails, and so does [`Subject::close`].
//! - The container stays the same one: it is not started, stopped or removed, except by a fault that
//!   does so.
//!
//! # What it needs
//! A Docker engine, and the `keelhaul` binary of the library's version: it is what runs beside the
//! container, as its helper. It is found by `KEELHAUL_BIN`, beside the test's own target directory, or
//! on the `PATH`; `cargo install keelhaul` puts it there.

mod error;
mod expect;
mod guards;
mod in_force;
mod ledger;
mod locate;
mod opening;
mod probe;
mod session;
mod subject;
#[cfg(feature = "testcontainers")]
mod testcontainers;
mod time;

pub use crate::faults::{Written, named as faults};
pub use error::Error;
pub use expect::Expectation;
pub use in_force::InForce;
pub use ledger::Ledger;
pub use opening::{Attach, attach};
pub use probe::{Container, File, Http, Mount, Probe, Write};
pub use subject::{SERVICE, Subject};
#[cfg(feature = "testcontainers")]
pub use testcontainers::Keelhaul;
pub use time::Time;

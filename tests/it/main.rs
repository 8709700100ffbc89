//! Behaviour through the public surface.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod corpus;
mod docker;
mod harness;
mod interpose;
mod recipes;
mod report;
mod scenario;
mod tidy;
mod weather;

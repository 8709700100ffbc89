//! What the user wrote: model, load, check.
//!
//! Pure: no clock, no Docker, no environment (the command line hands in what `${env:X}` may see).
//! `load` turns text into a positioned tree and the tree into the model; `check` finds what a type
//! cannot say. Every problem of every file is reported at once.

mod attach;
mod check;
mod compose;
mod interposed;
mod item;
mod jobs;
mod load;
mod model;
mod mount;
mod objects;
mod probes;
mod schema;
mod step;

pub use attach::Attach;
pub use check::{Assertion, Spot, assertion_ids, complaints, is_listed};
pub use compose::Compose;
pub use interposed::{any_io_rule, io_rules, recorded};
pub use item::{Observe, ProbeItem, Require, When};
pub(crate) use load::suffix;
pub use load::{
    Beside, Cell, ControlCell, Env, Gap, LARGEST_FILE, Loaded, Reader, Sets, Way, compose_gaps,
    compose_ports, compose_volumes, environment, load_all, load_beside, read_fault, read_probe,
    read_workload,
};
pub use model::{
    Allow, Control, Depends, ExpectFailure, Healthcheck, Hypothesis, Matrix, Objectives, Scenario,
    Service,
};
pub use mount::Mount;
pub use schema::schema;
pub use step::{Action, Condition, ExecStep, InjectStep, LoopStep, RecoverStep, Step, step_schema};

//! The runner: the only place with a clock.
//!
//! It turns a plan into one stream of events; every report is a fold of that stream.

mod announce;
mod as_found;
mod assert;
pub mod attached;
mod background;
mod case;
mod clean;
mod dependencies;
mod earlier;
mod event;
mod expect;
mod expiry;
mod explore;
mod files;
mod guards;
mod inject;
mod injection;
mod injections;
mod interrupt;
mod io_traces;
mod judge;
mod kept;
mod ledgers;
mod live;
mod load_watch;
mod loads;
mod observe;
mod printed;
mod record;
mod recorded;
mod recorder;
mod recover;
mod redact;
mod replay;
mod replayable;
mod revert;
mod sampling;
mod setup;
mod site;
pub mod stages;
mod staging;
mod start_again;
mod starts;
mod steady;
mod steps;
mod strikes;
mod struck;
pub mod suite;
#[cfg(test)]
pub(crate) mod tests;
mod verify;
mod world;

pub(crate) use announce::run_of;
pub use announce::{is_run_id, new_run_id};
pub(crate) use case::SET_UP;
pub use earlier::{Commit, Earlier};
pub use event::{CaseStart, Event, FORMAT, Origin, Phase, RunStart, Stamped};
pub use explore::{ExploreLog, Found, explore};
pub use files::{log_file, state_file, trace_file};
pub use io_traces::IoTrace;
pub use live::{Closed, InForce, Injected, Live, LiveError, Stopped};
pub use record::{
    AssertionRecord, CaseRecord, FaultRecord, LoadPoint, LogRecord, RecoveryRecord, RunRecord,
    SamplePoint,
};
pub use recorder::{Listener, Recorder};
pub(crate) use redact::HIDDEN;
pub use redact::Redactor;
pub use replay::replay;
pub(crate) use start_again::STARTED_AGAIN;
pub use strikes::Strikes;
pub(crate) use verify::percentile;

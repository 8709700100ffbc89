//! The worker: the helper's process that touches faulted mounts.
//!
//! Performs ops and answers questions on threads that may block, and drives load. It holds no
//! state that an undo could not find elsewhere, so the keeper may kill it at any moment; it ends with the keeper.

mod act;
mod cgroup;
mod clock;
mod context;
mod cut;
mod detach;
mod disk;
mod disk_trial;
pub(in crate::helper) mod engine;
mod errand;
mod facts;
mod fill;
mod freeze;
mod gone;
mod hold;
mod host_facts;
mod http;
pub(in crate::helper) mod image;
mod inner_engine;
mod insertion;
mod interpose;
mod interposers;
mod io_trace;
mod label;
mod layer;
mod link;
mod load;
mod loopback;
mod memory;
mod memory_cgroup;
mod metadata;
mod mount;
mod net;
mod page_cache;
mod passers_by;
mod place;
mod process;
mod quota;
mod reach;
mod read;
mod serve;
mod snapshot;
mod sole;
mod standstill;
mod stream;
mod throttle;
mod time;
mod tmpfs;
mod trial;
mod vacuous;
mod visibility;
mod witness;
mod written;

pub use crate::interpose::serve::main as interposer;
pub use errand::main as errand;
pub use hold::hold;
pub use serve::main;

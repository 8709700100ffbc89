//! What the command line and the helper say to each other: data only.
//!
//! `Op` is a closed set of primitive acts. A fault is a composition of ops, and its undo is ops too,
//! so a dead-man revert or `recover` runs no fault code. Nothing here performs anything.

mod access;
mod capability;
mod cut_profile;
mod disk_trial;
mod durability;
mod engine_op;
mod entry;
mod explore;
mod file_cut;
mod histogram;
mod host_facts;
mod http;
mod inner_engine;
mod inotify;
mod insertion;
mod io;
mod io_bytes;
mod io_delay;
mod io_rule;
mod io_sync;
mod io_told;
mod io_trace;
mod kept_state;
mod load;
mod memory;
mod numbers;
mod op;
mod op_parts;
mod op_place;
mod patience;
mod place;
mod places;
mod power;
mod quota;
mod read;
mod sole;
mod struck;
mod time;
mod tree;
mod trial_name;
mod visibility;

pub use access::{Access, AccessFacts, FileOwner, LabelFacts};
pub use capability::Capability;
pub use cut_profile::CutProfile;
pub use disk_trial::{DiskAttempt, DiskOp, FlushAttempt, MARGIN, TrialChunk};
pub use durability::Durability;
pub use engine_op::EngineOp;
pub use entry::{Entry, EntryId, EntryState, Outcome, RollbackReport, Undone};
pub use explore::{
    Draw, Drawn, ExploreProgress, ExploreReport, ExploreSpec, LostWrite, MOST_WORKERS, PastFacts,
    Reads, SecondCut, StageFacts, WrongState,
};
pub use file_cut::{DurableAttempt, FileCutOp, PendingFacts, TriedDurable};
pub use histogram::Histogram;
pub use host_facts::{HostFacts, Ready};
pub use http::{HttpReply, HttpRequest};
pub use inner_engine::{Ending, InnerEngineFacts, StartTrial};
pub use inotify::InotifyStock;
pub use insertion::{EscapeFacts, InsertionOp};
pub use io::{Direction, IoFacts, IoLimits, Pace, PaceTrial, PageFacts};
pub use io_bytes::{ByteAttempt, Damage, Keep, TriedBytes};
pub use io_delay::{Delay, Distribution};
pub use io_rule::{
    Backing, ByteRange, Caller, Interposer, IoAction, IoAttempt, IoOp, IoRule, RuleFacts, TriedOp,
    Trigger,
};
pub use io_sync::{ReadBack, Reported, Retry, SyncAttempt, TriedSync};
pub use io_told::{ToldAttributes, ToldRoom};
pub use io_trace::{MOST_TRACED, MOST_TRACED_IN_ALL, TraceFacts, TracePiece, TracedOp};
pub use kept_state::{Artifact, FETCHING, KeptFile, LoggedDisk, ReplaySpec, Replayed};
pub use load::{LoadCall, LoadReply, LoadSpec, LoadStats, PostgresLogin, RedisLogin, Via};
pub use memory::MemoryFacts;
pub use numbers::Numbers;
pub use op::Op;
pub use op_parts::{FileId, LinkState, MountFlag, Mounted};
pub use place::{Dev, Init, Place, ProcessFacts};
pub use places::Places;
pub use power::{CUT_CANARY, CutFacts, MountedDisk, PowerOp, UNSYNCED_CANARY, canaries};
pub use quota::{QuotaFacts, QuotaGroup, QuotaWas};
pub use read::{
    EventFacts, FileFacts, FsFacts, LoopFacts, MountFacts, NetFacts, OpenFile, Read, Reading,
    Trial, UserFacts, WriterFacts,
};
pub use sole::{Has, OtherUser, Sole, SoleOp};
pub use struck::{AllStruck, Counted, LISTED, NUMBERED, Series, Struck};
pub use time::{ClockFacts, FileTimes, TimeOp, TimesFacts, Told};
pub use tree::{ArchiveFacts, TreeFacts};
pub use trial_name::{is_of_set, is_tried, mark_of_set, only};
pub use visibility::{TriedVisible, VisibleAttempt};

/// Version of the wire and journal formats. Any change of shape raises it.
pub const VERSION: u32 = 5;

//! Privileged primitives, one file each; the only `unsafe` of the crate.
//!
//! Synchronous and blocking. They know nothing of faults or of the protocol; callers run them off
//! the async threads and bring the deadlines. Every path means what it means to the calling
//! thread: enter the target with [`namespace::in_mount_ns`] first.

pub mod access;
pub mod acting_for;
pub mod apart;
pub mod archive;
pub mod aside;
mod attempts;
pub mod block_device;
pub mod byte_trial;
pub mod canary;
pub mod cgroup;
pub mod container_process;
pub mod credentials;
pub mod detach;
pub mod device;
pub mod direct_io;
pub mod disk_trial;
pub mod environment;
pub mod error;
pub mod escapes;
pub mod extents;
pub mod file;
pub mod file_handle;
pub mod fill;
pub mod freeze;
pub mod fuse;
pub mod grower;
pub mod hardlink;
pub mod image;
pub mod inotify;
pub mod interfaces;
pub mod io_limits;
pub mod io_trial;
pub mod listening;
pub mod loop_device;
pub mod memory;
pub mod metadata;
pub mod mount_clone;
pub mod mountinfo;
pub mod namespace;
pub mod open_files;
pub mod own_root;
pub mod page_cache;
pub mod pressure;
pub mod probe_write;
pub mod process;
pub mod quota;
pub mod selinux;
pub mod shutdown;
pub mod sight_trial;
pub mod snapshot;
pub mod statfs;
pub mod steady;
pub mod stream;
pub mod subject_program;
pub mod superblock_users;
pub mod sync_trial;
pub mod task;
pub mod times;
pub mod tmpfs;
#[cfg(target_arch = "x86_64")]
mod tracing;
pub mod unstack;
pub mod user;
#[cfg(target_arch = "x86_64")]
mod vdso;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_wall_clock.rs")]
pub mod wall_clock;

#[cfg(test)]
mod testing;

pub use crate::errno;

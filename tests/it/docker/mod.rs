//! Tests that need a container engine.

mod alone;
mod attach;
mod audit;
mod debugging;
mod doctor;
mod explored;
mod gameday;
mod guest;
mod helper;
mod hostile_output;
mod init;
mod killed_set_up;
mod metadata;
mod pty;
mod recover;
mod refusals;
mod replay;
mod replayed_strikes;
mod run_directory;
mod runtime;
mod shell;
mod subjects;

//! `doctor`.

use clap::Args;

use super::AuditFormat;

/// `doctor`
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// What goes to stdout.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: AuditFormat,
}

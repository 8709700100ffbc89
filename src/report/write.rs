//! Report files: each is written beside its place and moved there, so that none is ever half.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Format, html, json, junit, markdown, openmetrics, terminal};
use crate::run::RunRecord;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {} report `{}`: {source}{}", format.name(), path.display(), hint(source))]
pub struct ReportError {
    /// Which.
    pub format: Format,
    /// Where.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "\n\nhint: free some space, or choose another directory with `--out`; `keelhaul report` renders it again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "\n\nhint: choose another directory with `--out`"
        }
        _ => "",
    }
}

/// Writes a report to `out`.
///
/// # Errors
/// When `out` cannot be written.
pub fn render(format: Format, record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => terminal::summary(record, terminal::Look::default(), out),
        Format::Json => json::write(record, out),
        Format::Junit => junit::write(record, out),
        Format::Markdown => markdown::write(record, out),
        Format::Html => html::write(record, out),
        Format::Openmetrics => openmetrics::write(record, out),
    }
}

/// Writes every format that has a file into a directory, which is made if it is missing.
///
/// Returns the files written.
///
/// # Errors
/// One for each format that could not be written; the others are written all the same.
pub fn render_all(record: &RunRecord, dir: &Path) -> (Vec<PathBuf>, Vec<ReportError>) {
    let (mut written, mut errors) = (Vec::new(), Vec::new());
    for format in Format::ALL {
        let Some(name) = format.file() else { continue };
        let path = dir.join(name);
        match replace(format, record, dir, &path) {
            Ok(()) => written.push(path),
            Err(source) => errors.push(ReportError { format, path, source }),
        }
    }
    (written, errors)
}

fn replace(format: Format, record: &RunRecord, dir: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new().prefix(".report-").tempfile_in(dir)?;
    let mut out = BufWriter::new(file.as_file_mut());
    render(format, record, &mut out)?;
    out.flush()?;
    drop(out);
    // others read reports too: a temporary file is for its owner alone
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

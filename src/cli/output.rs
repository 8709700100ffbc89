//! Where words go: data to stdout, everything else to stderr. Colour only where it is wanted.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
};

use anyhow::Error;

use crate::report::terminal::Look;

/// Writes data. A closed pipe is the reader's choice, not an error.
///
/// # Errors
/// When standard output takes no more, as on a full disk.
pub(super) fn data(text: impl AsRef<str>) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_ref().as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(error).context("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Both outputs are one terminal, pipe or file: who reads one reads what was said on the other.
pub(super) fn together() -> bool {
    let id = |out: BorrowedFd<'_>| {
        let facts = File::from(out.try_clone_to_owned().ok()?).metadata().ok()?;
        Some((facts.dev(), facts.ino()))
    };
    let (out, beside) = (id(std::io::stdout().as_fd()), id(std::io::stderr().as_fd()));
    out.is_some() && out == beside
}

/// How the terminal wants its text.
pub(super) fn look() -> Look {
    let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    Look { colour, ..Look::default() }
}

/// Says something to the user beside the data.
pub(super) fn say(text: impl AsRef<str>) {
    let mut out = anstream::stderr().lock();
    let _ = writeln!(out, "{}", text.as_ref());
}

/// Says what went wrong, with every cause.
pub(super) fn error(error: &Error) {
    say(format!("error: {error:#}"));
}

/// Logs go to stderr, when asked for: `-v` for keelhaul's own, `-vv` for everything.
pub(super) fn init_logs(verbose: u8) {
    let default = match verbose {
        0 => "off",
        1 => "keelhaul=debug",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KEELHAUL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

//! Between an operation and its trace: what it was, and how it was answered.
//!
//! Where nothing is traced, this costs a look at an empty place.

use std::{ffi::OsStr, sync::Arc};

use super::{Fs, Who, ours::is_ours, strike::At, table::OURS};
use crate::{
    errno::Errno,
    interpose::{armed::name_of, later::Refusable, now_us, rules::Strike, trace::Tracer},
    protocol::{IoOp, TracedOp},
};

/// What no rule is about: what it would be told, nobody waits for.
const CLOSE: &str = "close";

/// A line of the trace, until its end is known.
struct Line {
    tracer: Arc<Tracer>,
    op: Box<TracedOp>,
}

/// An answer that goes into the trace when it is given.
pub(super) struct Told<R> {
    reply: R,
    line: Option<Line>,
}

impl<R> Told<R> {
    /// One that nobody traces.
    pub(super) fn untraced(reply: R) -> Self {
        Self { reply, line: None }
    }

    /// It is done: the way to say so.
    pub(super) fn done(self) -> R {
        self.end(|_| {})
    }

    /// It is done, and so many bytes were moved.
    pub(super) fn moved(self, bytes: u64) -> R {
        self.end(|op| op.moved = Some(bytes))
    }

    /// Also where to it goes.
    pub(super) fn to(mut self, path: impl FnOnce() -> String) -> Self {
        if let Some(line) = &mut self.line {
            line.op.to = Some(path());
        }
        self
    }

    /// The answer before it is given.
    pub(super) fn reply(&self) -> &R {
        &self.reply
    }

    /// Likewise, to be filled.
    pub(super) fn reply_mut(&mut self) -> &mut R {
        &mut self.reply
    }

    fn end(self, how: impl FnOnce(&mut TracedOp)) -> R {
        if let Some(Line { tracer, mut op }) = self.line {
            op.took_us = now_us().saturating_sub(op.at_us);
            how(&mut op);
            tracer.take(op);
        }
        self.reply
    }
}

impl<R: Refusable> Refusable for Told<R> {
    fn refuse(self, errno: rustix::io::Errno) {
        self.end(|op| op.errno = Some(name(Errno::from(errno)))).refuse(errno);
    }
}

fn name(errno: Errno) -> std::borrow::Cow<'static, str> {
    errno.name().map_or_else(|| errno.to_string().into(), Into::into)
}

impl Fs {
    /// What strikes an operation, and the answer with its line in the trace.
    pub(super) fn meet<R>(&self, who: Who, op: IoOp, at: At<'_>, reply: R) -> (Strike, Told<R>) {
        let strike = self.strike(who, op, at);
        let ours = |pid| is_ours(op, pid);
        let line = self.line((who, op.name(), at), &strike.rules, ours);
        (strike, Told { reply, line })
    }

    /// Likewise, of a file that is closed.
    pub(super) fn see_closed<R>(&self, who: Who, at: At<'_>, reply: R) -> Told<R> {
        Told { reply, line: self.line((who, CLOSE, at), &[], |_| false) }
    }

    /// A line, where there is a trace and this is not of our own making.
    fn line(
        &self,
        (who, op, at): (Who, &'static str, At<'_>),
        rules: &[String],
        ours: impl FnOnce(u32) -> bool,
    ) -> Option<Line> {
        let tracer = self.tracer.as_ref()?;
        let at_us = now_us();
        let (path, trial) = self.path_at(at);
        if trial || path.starts_with(OURS) || ours(who.pid) {
            return None;
        }
        let (offset, size) = match at {
            At::Bytes(_, offset, length) => (Some(offset), Some(length)),
            _ => (None, None),
        };
        // the kernel itself has none
        let pid = Some(who.pid).filter(|pid| *pid != 0);
        let (process, rules) = (pid.and_then(name_of), rules.to_vec());
        let op = op.into();
        let op =
            TracedOp { at_us, op, path, offset, size, pid, process, rules, ..Default::default() };
        Some(Line { tracer: Arc::clone(tracer), op: Box::new(op) })
    }

    /// The path of a name in a directory.
    pub(super) fn path_of_name(&self, parent: u64, name: &OsStr) -> String {
        self.path_at(At::Name(parent, name)).0
    }
}

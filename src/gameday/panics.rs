//! What a panic says while the screen is up. Printed at once it would stand in the middle of the picture, or
//! on a terminal that others write to, and be painted over: it is kept until the terminal is as it was.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What was said; none once the screen is gone, when it is printed at once.
#[derive(Clone)]
pub(super) struct Panics(Arc<Mutex<Option<Vec<String>>>>);

impl Panics {
    /// From now on panics of any thread are kept.
    pub(super) fn hear() -> Self {
        let panics = Self(Arc::new(Mutex::new(Some(Vec::new()))));
        let (heard, usual) = (panics.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            let said = || match Backtrace::capture() {
                trace if trace.status() == BacktraceStatus::Captured => format!("{panic}\n{trace}"),
                _ => panic.to_string(),
            };
            if !heard.keep(said) {
                usual(panic);
            }
        }));
        panics
    }

    /// False when it is not to be kept any more.
    fn keep(&self, said: impl FnOnce() -> String) -> bool {
        let mut kept = self.kept();
        let Some(kept) = kept.as_mut() else { return false };
        kept.push(said());
        true
    }

    /// Prints what was kept: the terminal is as it was. Whatever comes later is printed at once.
    pub(super) fn print(&self, mut out: impl Write) {
        for said in self.kept().take().unwrap_or_default() {
            // a terminal that is gone reads nothing
            let _ = writeln!(out, "{said}");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_while_the_screen_is_up_is_printed_when_it_is_gone() {
        let panics = Panics(Arc::new(Mutex::new(Some(Vec::new()))));
        assert!(panics.keep(|| "one".to_owned()) && panics.keep(|| "two".to_owned()));
        let mut out = Vec::new();
        panics.print(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "one\ntwo\n");
        assert!(!panics.keep(|| "three".to_owned()), "printed at once from then on");
        let mut again = Vec::new();
        panics.print(&mut again);
        assert!(again.is_empty(), "once is enough");
    }
}

//! What a panic says while the screen is up. Printed at once it would stand in the middle of the picture, or
//! on a terminal that others write to, and be painted over: it is kept until all is done. By then the
//! terminal is as it was; and one that takes nothing more keeps no report from being written.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// As there is one hook for panics.
static KEPT: Panics = Panics(Mutex::new(None));

/// What was said; none while it is printed at once.
struct Panics(Mutex<Option<Vec<String>>>);

/// From now on panics of any thread are kept.
pub(super) fn hear() {
    KEPT.kept().get_or_insert_default();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = || match Backtrace::capture() {
            trace if trace.status() == BacktraceStatus::Captured => format!("{panic}\n{trace}"),
            _ => panic.to_string(),
        };
        if !KEPT.keep(said) {
            usual(panic);
        }
    }));
}

/// Prints what panics said while the console was shown, if there were any. Whatever comes later is printed
/// at once.
pub fn print_panics() {
    KEPT.print(std::io::stderr());
}

/// Does so when it is dropped, after all that is written.
#[must_use]
pub struct PanicsLast;

impl Drop for PanicsLast {
    fn drop(&mut self) {
        print_panics();
    }
}

impl Panics {
    /// False when it is not to be kept any more.
    fn keep(&self, said: impl FnOnce() -> String) -> bool {
        let mut kept = self.kept();
        let Some(kept) = kept.as_mut() else { return false };
        kept.push(said());
        true
    }

    fn print(&self, mut out: impl Write) {
        // not under the lock: a terminal that takes nothing must not keep another panic waiting
        let kept = self.kept().take();
        for said in kept.unwrap_or_default() {
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
        let panics = Panics(Mutex::new(Some(Vec::new())));
        assert!(panics.keep(|| "one".to_owned()) && panics.keep(|| "two".to_owned()));
        let mut out = Vec::new();
        panics.print(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "one\ntwo\n");
        assert!(!panics.keep(|| "three".to_owned()), "printed at once from then on");
        let mut again = Vec::new();
        panics.print(&mut again);
        assert!(again.is_empty(), "once is enough");
    }

    /// A terminal during whose writes something else panics.
    struct Meanwhile<'a>(&'a Panics);

    impl Write for Meanwhile<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let free = self.0.0.try_lock().is_ok();
            assert!(free, "another panic would wait for the terminal");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_does_not_wait_for_what_another_prints() {
        let panics = Panics(Mutex::new(Some(vec!["one".to_owned()])));
        panics.print(Meanwhile(&panics));
    }
}

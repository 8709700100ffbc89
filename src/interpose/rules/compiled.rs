//! A rule with its globs compiled: what it matches. Pure.

use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Call, cover::Cover};
use crate::protocol::{IoAction, IoOp, IoRule};

/// A glob that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{glob}` is not a glob: {why}")]
pub struct BadGlob {
    /// As it was written.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
}

/// Globs of paths, `/` matched by `**` alone.
#[derive(Debug, Clone)]
pub struct Globs(GlobSet);

impl Globs {
    /// Compiles them.
    ///
    /// # Errors
    /// The first that is none.
    pub fn new(globs: &[String]) -> Result<Self, BadGlob> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let bad = |error: globset::Error| BadGlob {
                glob: glob.clone(),
                why: error.kind().to_string(),
            };
            set.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(bad)?);
        }
        let whole =
            |error: globset::Error| BadGlob { glob: globs.join(", "), why: error.to_string() };
        set.build().map(Self).map_err(whole)
    }

    /// Whether one of them matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// A rule, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) rule: IoRule,
    cover: Cover,
    paths: Globs,
}

impl Compiled {
    pub(super) fn new(rule: IoRule) -> Result<Self, BadGlob> {
        Ok(Self { paths: Globs::new(&rule.paths)?, cover: Cover::new(&rule.ranges), rule })
    }

    /// Whether it is about this operation. `name_of` says what a process is called.
    pub(super) fn matches(&self, call: &Call<'_>, name_of: &dyn Fn(u32) -> Option<String>) -> bool {
        self.rule.ops.contains(&call.op)
            && (call.trial
                || self.paths.matches(call.path) && self.spans(call) && self.is_by(call, name_of))
    }

    /// Whether it is about files that are open for so long, `since` it came into force.
    pub(super) fn reaches(&self, call: &Call<'_>, since: Duration) -> bool {
        match self.rule.action {
            IoAction::NoRoom { .. } => call.fresh,
            IoAction::Late { us, within } => call.changed.is_some_and(|changed| {
                let is_meant = within.is_none() || changed.who == within;
                is_meant && changed.ago < Duration::from_micros(us)
            }),
            IoAction::Stale => call.trial || call.open_for.is_some_and(|open_for| open_for > since),
            IoAction::FailSync { .. } => {
                self.is_due(call) || call.sync.is_some_and(|found| found.written)
            }
            _ => true,
        }
    }

    /// Whether it hits whatever its trigger says: an earlier hit is not told in full yet.
    pub(super) fn is_due(&self, call: &Call<'_>) -> bool {
        match self.rule.action {
            IoAction::FailSync { reported, retry, .. } => {
                call.sync.is_some_and(|found| found.is_due(reported, retry))
            }
            _ => false,
        }
    }

    /// The bytes that it is about; a trial lies outside every range.
    pub(super) fn cover_of(&self, call: &Call<'_>) -> Cover {
        if call.trial { Cover::default() } else { self.cover.clone() }
    }

    /// For how long it hides changes of this path.
    pub(super) fn hides(&self, is_about: impl Fn(&Globs) -> bool) -> Option<Duration> {
        match self.rule.action {
            IoAction::Late { us, .. } if is_about(&self.paths) => Some(Duration::from_micros(us)),
            _ => None,
        }
    }

    fn spans(&self, call: &Call<'_>) -> bool {
        let Some(span) = call.span else { return true };
        self.rule.at_least.is_none_or(|least| span.1 >= least.0) && self.cover.touches(span)
    }

    fn is_by(&self, call: &Call<'_>, name_of: &dyn Fn(u32) -> Option<String>) -> bool {
        let by = &self.rule.by;
        by.uid.is_none_or(|uid| uid == call.uid)
            && by.process.as_ref().is_none_or(|name| name_of(call.pid).as_ref() == Some(name))
    }

    /// Whether it may ever be about the bytes of a file: then the kernel must ask for each of them.
    pub(super) fn may_move_data(&self, path: &str) -> bool {
        let asks = self.rule.action.follows_writes()
            || self.rule.ops.iter().copied().any(IoOp::moves_data);
        asks && self.paths.matches(path)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Changed, *};
    use crate::{
        protocol::{ByteRange, Caller, Trigger},
        units::Size,
    };

    fn rule(paths: &[&str]) -> IoRule {
        IoRule {
            paths: paths.iter().map(ToString::to_string).collect(),
            ops: vec![IoOp::Write],
            by: Caller::default(),
            ranges: Vec::new(),
            at_least: None,
            when: Trigger::default(),
            action: IoAction::Error { errno: 5 },
        }
    }

    fn call(path: &str) -> Call<'_> {
        Call {
            op: IoOp::Write,
            path,
            span: Some((4096, 512)),
            bytes: 512,
            open_for: None,
            sync: None,
            fresh: false,
            changed: None,
            uid: 7,
            pid: 42,
            ours: false,
            trial: false,
        }
    }

    fn hits(rule: IoRule, call: &Call<'_>) -> bool {
        let name_of = |pid| (pid == 42).then(|| "postgres".to_owned());
        Compiled::new(rule).unwrap().matches(call, &name_of)
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        assert!(hits(rule(&["**"]), &call("")) && hits(rule(&["**"]), &call("a/b/c")));
        assert!(hits(rule(&["*.log"]), &call("x.log")));
        assert!(!hits(rule(&["*.log"]), &call("a/x.log")));
        assert!(hits(rule(&["**/*.log"]), &call("a/x.log")));
        assert!(hits(rule(&["wal", "wal/**"]), &call("wal/1/2")));
        assert!(!hits(rule(&["wal", "wal/**"]), &call("wall")));
        assert!(Globs::new(&["a[".to_owned()]).is_err());
    }

    #[test]
    fn a_file_is_stale_that_was_open_before() {
        let stale = Compiled::new(IoRule { action: IoAction::Stale, ..rule(&["**"]) }).unwrap();
        let since = Duration::from_secs(5);
        let open_for = |seconds| Call { open_for: Some(Duration::from_secs(seconds)), ..call("a") };
        assert!(stale.reaches(&open_for(6), since) && !stale.reaches(&open_for(5), since));
        assert!(!stale.reaches(&call("a"), since));
        assert!(stale.reaches(&Call { trial: true, ..open_for(1) }, since));
        let any = Compiled::new(rule(&["**"])).unwrap();
        assert!(any.reaches(&open_for(1), since) && any.reaches(&call("a"), since));
    }

    #[test]
    fn room_is_wanting_for_what_had_none() {
        let action = IoAction::NoRoom { errno: libc::ENOSPC };
        let full = Compiled::new(IoRule { action, ..rule(&["**"]) }).unwrap();
        let fresh = |fresh, trial| Call { fresh, trial, ..call("disk") };
        assert!(full.reaches(&fresh(true, false), Duration::ZERO));
        assert!(!full.reaches(&fresh(false, false), Duration::ZERO));
        assert!(!full.reaches(&fresh(false, true), Duration::ZERO), "a trial is a write too");
    }

    #[test]
    fn late_are_those_who_look_soon_after_others_and_no_trial_from_elsewhere() {
        let late = |within| {
            let action = IoAction::Late { us: 2_000_000, within };
            Compiled::new(IoRule { action, ..rule(&["*.json"]) }).unwrap()
        };
        let looks = |seconds, who| Call {
            changed: Some(Changed { ago: Duration::from_secs(seconds), who }),
            trial: true,
            ..call("a.json")
        };
        let reaches = |within, call: &Call<'_>| late(within).reaches(call, Duration::ZERO);
        assert!(reaches(None, &looks(1, Some(7))) && reaches(Some(7), &looks(1, Some(7))));
        assert!(!reaches(None, &looks(2, Some(7))), "it is old enough");
        assert!(!reaches(Some(7), &looks(1, Some(8))) && !reaches(Some(7), &looks(1, None)));
        assert!(!reaches(None, &call("a.json")), "nothing has changed");
        let hides = |path: &str| late(None).hides(|globs| globs.matches(path));
        assert_eq!(hides("a.json"), Some(Duration::from_secs(2)));
        assert!(hides("a.log").is_none());
    }

    #[test]
    fn caller_range_and_size_narrow_it_but_for_trials() {
        let all = rule(&["**"]);
        let by = |uid, process: Option<&str>| IoRule {
            by: Caller { uid, process: process.map(str::to_owned) },
            ..all.clone()
        };
        assert!(hits(by(Some(7), Some("postgres")), &call("a")));
        assert!(!hits(by(Some(8), None), &call("a")) && !hits(by(None, Some("x")), &call("a")));
        let range = |from, to| IoRule {
            ranges: vec![ByteRange { from: Size(from), to: Size(to) }],
            ..all.clone()
        };
        assert!(hits(range(4607, 9000), &call("a")) && !hits(range(4608, 9000), &call("a")));
        assert!(hits(range(0, 4097), &call("a")) && !hits(range(0, 4096), &call("a")));
        assert!(!hits(IoRule { at_least: Some(Size(513)), ..all }, &call("a")));
        let trial = Call { trial: true, path: "elsewhere", ..call("") };
        assert!(hits(IoRule { at_least: Some(Size(513)), ..rule(&["x"]) }, &trial));
        assert!(!hits(rule(&["**"]), &Call { op: IoOp::Read, ..trial }));
    }

    #[test]
    fn only_rules_about_bytes_keep_the_kernel_from_moving_them() {
        let compiled = |ops| Compiled::new(IoRule { ops, ..rule(&["*.db"]) }).unwrap();
        assert!(compiled(vec![IoOp::Fsync, IoOp::Read]).may_move_data("x.db"));
        assert!(!compiled(vec![IoOp::Read]).may_move_data("x.log"));
        assert!(!compiled(vec![IoOp::Fsync, IoOp::Open]).may_move_data("x.db"));
        let (reported, retry, read_back) = Default::default();
        let action = IoAction::FailSync { errno: 5, reported, retry, read_back };
        let fails = IoRule { ops: vec![IoOp::Fsync], action, ..rule(&["*.db"]) };
        assert!(Compiled::new(fails).unwrap().may_move_data("x.db"));
    }
}

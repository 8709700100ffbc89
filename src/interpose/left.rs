//! What an interposer leaves in the run's directory when it ends by itself, for those who ask then. It lies
//! beside the socket, by the interposer's name.
//!
//! Another case has interposers of the same names: what one has left is removed before the next one of
//! its name begins, and with it when it is ended.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::protocol::{AllStruck, RuleFacts, TraceFacts};

/// Ends of their names. The trace itself is written all the time.
const FACTS: &str = "facts";
const STRUCK: &str = "struck";
const TRACED: &str = "traced";
const TRACE: &str = "trace";

/// Where one leaves what its rules have done.
#[must_use]
pub fn facts_file(socket: &Path) -> PathBuf {
    socket.with_extension(FACTS)
}

/// Likewise, how much is in its trace.
#[must_use]
pub fn traced_file(socket: &Path) -> PathBuf {
    socket.with_extension(TRACED)
}

/// Where one writes its trace.
#[must_use]
pub fn trace_file(socket: &Path) -> PathBuf {
    socket.with_extension(TRACE)
}

/// Whether a file is the trace of one.
#[must_use]
pub fn is_trace(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == TRACE)
}

/// What is known of one when it ends.
#[derive(Debug, Default)]
pub struct Left {
    /// What each set of its rules has done.
    pub facts: BTreeMap<String, RuleFacts>,
    /// All that each has struck, where that is more than is listed among those.
    pub struck: BTreeMap<String, AllStruck>,
    /// How much is in its trace; none where there is none.
    pub traced: Option<TraceFacts>,
}

impl Left {
    /// Leaves it. What cannot be written is missing, and no half of it is there.
    pub fn leave(&self, socket: &Path) {
        write(&socket.with_extension(STRUCK), &self.struck);
        if let Some(traced) = &self.traced {
            write(&traced_file(socket), traced);
        }
        // last: who finds this finds the others
        write(&facts_file(socket), &self.facts);
    }
}

/// What each set of rules of one has done; none where it has left nothing.
#[must_use]
pub fn facts(socket: &Path) -> Option<BTreeMap<String, RuleFacts>> {
    read(&facts_file(socket))
}

/// All that each has struck.
#[must_use]
pub fn struck(socket: &Path) -> Option<BTreeMap<String, AllStruck>> {
    read(&socket.with_extension(STRUCK))
}

/// How much is in its trace.
#[must_use]
pub fn traced(socket: &Path) -> Option<TraceFacts> {
    read(&traced_file(socket))
}

/// Removes all that one has left.
pub fn forget(socket: &Path) {
    for end in [FACTS, STRUCK] {
        let _ = fs::remove_file(socket.with_extension(end));
    }
    forget_trace(socket);
}

/// Removes its trace.
pub fn forget_trace(socket: &Path) {
    for end in [TRACED, TRACE] {
        let _ = fs::remove_file(socket.with_extension(end));
    }
}

/// One that is killed meanwhile leaves no half of it.
fn write(file: &Path, what: &impl Serialize) {
    let Ok(text) = serde_json::to_string(what) else { return };
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    if fs::write(&part, text).is_err() || fs::rename(&part, file).is_err() {
        let _ = fs::remove_file(&part);
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("kh.sock");
        fs::write(trace_file(&socket), "").unwrap();
        let traced = Some(TraceFacts { kept: 3, ..TraceFacts::default() });
        let of = |hit| RuleFacts { hit, ..RuleFacts::default() };
        let facts = BTreeMap::from([("set".to_owned(), of(7))]);
        let struck = BTreeMap::from([("set".to_owned(), AllStruck::default())]);
        Left { facts: facts.clone(), struck: struck.clone(), traced: traced.clone() }
            .leave(&socket);
        assert_eq!(super::facts(&socket), Some(facts));
        assert_eq!((super::struck(&socket), super::traced(&socket)), (Some(struck), traced));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "no part of anything");
        forget_trace(&socket);
        assert!(super::traced(&socket).is_none() && super::facts(&socket).is_some());
        forget(&socket);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

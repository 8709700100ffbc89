//! What names of an interposer's own files say of the trial that they are made for. Pure.
//!
//! Several faults may be in force at once, and a trial takes more operations than the one that is
//! tried: neither may answer for the other.

use super::IoOp;

/// Around the set of rules whose effect is tried.
const SET: char = '@';
/// Around the operation that is tried.
const OP: char = '~';

/// What names begin with of files that one set of rules alone strikes.
#[must_use]
pub fn mark_of_set(mark: &str, set: &str) -> String {
    format!("{mark}{SET}{set}{SET}")
}

/// What names go on with of files on which one operation alone is struck.
#[must_use]
pub fn only(op: IoOp) -> String {
    format!("{OP}{}{OP}", op.name())
}

/// Whether a set of rules strikes what is done to a file of this name.
#[must_use]
pub fn is_of_set(name: &str, set: &str) -> bool {
    between(name, SET).is_none_or(|of| of == set)
}

/// Whether this operation on a file of this name is tried, and not on the way to what is.
#[must_use]
pub fn is_tried(name: &str, op: IoOp) -> bool {
    between(name, OP).is_none_or(|tried| tried == op.name())
}

fn between(name: &str, sign: char) -> Option<&str> {
    let (_, rest) = name.split_once(sign)?;
    rest.split_once(sign).map(|(between, _)| between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_trial_it_is_and_of_what() {
        let name = format!("{}{}-7-1", mark_of_set(".k-trial", "io-error-3"), only(IoOp::Stat));
        assert!(name.starts_with(".k-trial"));
        assert!(is_of_set(&name, "io-error-3") && !is_of_set(&name, "io-error-30"));
        assert!(is_tried(&name, IoOp::Stat) && !is_tried(&name, IoOp::Statfs));
        assert!(is_of_set(".k-trial-7-1", "io-error-3") && is_tried(".k-trial-7-1", IoOp::Open));
    }
}

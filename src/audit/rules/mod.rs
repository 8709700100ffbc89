//! Every rule, by name. One more: a file with its `RULE`, and a line here.

use super::Rule;

macro_rules! rules {
    ($($module:ident,)+) => {
        $(mod $module;)+

        /// Every rule, sorted by name.
        pub const RULES: &[Rule] = &[$($module::RULE,)+];
    };
}

rules! {
    anonymous_volume,
    hidden_files,
    host_exposed,
    no_health_check,
    no_memory_limit,
    no_restart_policy,
    owner_mismatch,
    read_only_logs,
    shared_writers,
    single_file,
    state_on_tmpfs,
    tmpfs_without_limit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    /// It is printed as a command that anybody can type.
    #[test]
    fn what_shows_it_is_something_that_explain_knows() {
        for rule in RULES {
            assert!(catalog::find(rule.shows).is_ok(), "{}: `{}`", rule.name, rule.shows);
        }
    }
}

//! What every interposer does with its rules: puts them in force, and out of it.

use super::{armed::Armed, rules::RuleSet, timer::Timer};
use crate::protocol::{IoRule, RuleFacts, Series};

/// Something in which rules strike.
pub(super) trait Ruled {
    /// Its rules.
    fn armed(&self) -> &Armed;

    /// Where what they delay waits.
    fn timer(&self) -> &Timer;

    /// Other rules are in force now.
    fn rearmed(&self) {}

    /// What a set has done; none where there never was one.
    fn facts(&self, set: &str) -> Option<RuleFacts>;

    /// Puts a set in force: what it hits is decided by its triggers and the seed, or is named.
    ///
    /// # Errors
    /// In words, when a path is no glob.
    fn arm(
        &self,
        set: &str,
        (seed, rules): (u64, Vec<IoRule>),
        again: Option<Vec<Series>>,
    ) -> Result<(), String> {
        let rules = RuleSet::new(seed, rules).map_err(|error| error.to_string())?;
        let rules = rules.striking(again);
        let before = self.armed().arm(set, rules, self.timer().begin());
        before.into_iter().for_each(|before| self.timer().end(before));
        self.rearmed();
        Ok(())
    }

    /// Puts a set out of force; what it alone lets wait goes on at once. False where there was none.
    fn disarm(&self, set: &str) -> bool {
        let was = self.armed().disarm(set);
        was.into_iter().for_each(|was| self.timer().end(was));
        self.rearmed();
        was.is_some()
    }

    /// Puts every set out of force.
    fn disarm_all(&self) {
        for set in self.armed().names() {
            self.disarm(&set);
        }
    }
}

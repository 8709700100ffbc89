//! Which services are there to end. Pure.

use super::{Depends, Scenario};

impl Scenario {
    /// A service whose end others wait for: it is there to end.
    #[must_use]
    pub fn is_job(&self, service: &str) -> bool {
        let mut conditions =
            self.services.values().filter_map(|other| other.depends_on.get(service));
        conditions.any(|condition| *condition == Depends::ServiceCompletedSuccessfully)
    }
}

//! A second run, live beside one that is struck: its fault stays in force, and it ends as it should.

use rustix::process::Signal;

use super::harness::{Run, Test};
use super::{
    fixtures::Fixture,
    host::{Trace, assert_clean, init_of},
};

const READ_ONLY: Trace = Trace::Stacked("/data");

/// A run with its fault in force, at the engine that others use.
pub(super) struct Beside {
    run: Run,
    init: i32,
}

impl Beside {
    pub(super) fn start() -> Self {
        let scenario = Fixture::called("read-only").scenario("900s");
        // the others take as long as the machine lets them
        let scenario = scenario.replace("timeout: 60s", "timeout: 20m");
        let mut run = Test::of(&scenario).start();
        let init = init_of(&run.env(), &run.container());
        run.until("injected");
        Self { run, init }
    }

    pub(super) fn assert_undisturbed(&self, who: &str) {
        assert!(READ_ONLY.in_force(self.init), "{who}: the run beside");
    }

    /// Interrupts it, and sees that nothing else has ended it before.
    pub(super) fn end(mut self) {
        assert!(!self.run.is_over());
        self.run.signal(Signal::INT);
        let ended = self.run.end();
        assert_eq!(ended.code, 130, "{}", ended.told());
        assert_eq!(ended.asserted("fault.effect"), "pass");
        assert_eq!(ended.asserted("fault.revert"), "pass", "{}", ended.told());
        assert_clean(&ended.id(), &ended.env, "beside");
    }
}

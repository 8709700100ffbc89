//! `clock-skew`: a subject whose wall clock is wrong.
//!
//! Mechanism: the code that the kernel maps into every process for it to tell the time by (vdso(7))
//! is written over, in each process of the container, by code that adds the shift. A process of ours
//! does the same to what is started meanwhile. Blast radius: one container. Undone by ending that
//! process and writing the kernel's own bytes back wherever ours are found; they also end with the
//! processes that have them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
};
use crate::{
    protocol::{Capability, ClockFacts, Op, Outcome, TimeOp},
    units::Shift,
};

/// Shifts the wall clock that a container's processes see.
///
/// Measured time goes on as it was, and so do the host's clock and other containers. The kernel's own
/// clock is not shifted: file times stay true, and who waits until an absolute time of day waits for
/// the true one. Programs that make the system call themselves, as old static ones do, are not
/// reached, and then the effect is not proven. A program that is started meanwhile has the true time
/// for its first moments. On x86-64 only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockSkew {
    /// The container: `service`.
    pub(super) target: Target,
    /// How far, and which way: `+1h` for a clock that is ahead.
    by: Shift,
}

const NAME: &str = "clock-skew";

/// How long somebody is given to ask for the time. Less than a look after a start may take.
const WITHIN_MS: u64 = 1500;

/// How often, at the injection: a service whose dependency is gone may wait for a name server meanwhile,
/// twice five seconds as a rule (resolv.conf(5)).
const LOOKS: u32 = 10;

/// The host's clock goes on between an answer and our look at it.
const SECONDS: i64 = 2;

impl ClockSkew {
    fn judge(&self, facts: &ClockFacts) -> Effect {
        let (by, shifted) = (self.by, facts.shifted);
        let Some(told) = &facts.told else {
            return Effect::unproven(format!(
                "{shifted} processes have a shifted clock, and none of them asked for the time \
                 within {WITHIN_MS} ms"
            ));
        };
        let (who, ahead) = (&told.who, told.ahead);
        let evidence = format!("{who} asked for the time and was told {ahead:+} s, wanted {by}");
        if told.direct {
            return Effect::unproven(format!(
                "{evidence}: it asks the kernel by itself, past the code that can be changed"
            ));
        }
        let proven = (ahead - by.0).abs() <= SECONDS;
        Effect { proven, evidence, notes: Vec::new() }
    }
}

impl Fault for ClockSkew {
    /// There is nothing to compare with but the host's clock.
    type Before = ();

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::WallClock];
    const EXAMPLE: &'static str = "clock-skew: { target: agent, by: +1h }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("shift the wall clock of `{}` by {}", self.target, self.by),
            undo: "put the kernel's own code back".into(),
            proof: "a process of the container asks for the time, and is told the shifted one"
                .into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path(NAME, &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<()>, FaultError> {
        cx.running().await?;
        if cx.clock(0).await?.shifted > 0 {
            return Err(FaultError::Refused(format!(
                "the clock of `{}` is shifted already\n\nhint: revert the other fault first",
                self.target
            )));
        }
        let (place, mark) = (cx.site.place.clone(), format!("{}-clock", cx.marker()));
        let by =
            i32::try_from(self.by.0).map_err(|error| FaultError::Refused(error.to_string()))?;
        let undo = TimeOp::RestoreClock { place: place.clone(), mark: mark.clone(), by };
        let skew = TimeOp::SkewClock { place, mark, by };
        Ok(Prepared { before: (), ops: vec![Op::Time(skew)], undo: vec![Op::Time(undo)] })
    }

    async fn verify(&self, (): &(), _: &[Outcome], cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let mut facts = cx.clock(WITHIN_MS).await?;
        for _ in 1..LOOKS {
            // of a clock that nobody has there is nothing to be told
            if facts.shifted == 0 || self.judge(&facts).proven {
                break;
            }
            facts = cx.clock(WITHIN_MS).await?;
        }
        Ok(self.judge(&facts))
    }

    async fn verify_reverted(&self, (): &(), cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let shifted = cx.clock(0).await?.shifted;
        let evidence = format!("{shifted} processes have other code than the kernel's own");
        Ok(Effect { proven: shifted == 0, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Told,
    };

    fn fault() -> ClockSkew {
        serde_saphyr::from_str("{ target: agent, by: -1h }").unwrap()
    }

    #[tokio::test]
    async fn the_undo_needs_nothing_but_the_mark_and_the_shift() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let prepared = fault().prepare(&cx).await.unwrap();
        let (place, mark, by) = (site.place.clone(), ".keelhaul-r1-clock".to_owned(), -3600);
        let undo = TimeOp::RestoreClock { place: place.clone(), mark: mark.clone(), by };
        assert_eq!(prepared.undo, [Op::Time(undo)]);
        assert_eq!(prepared.ops, [Op::Time(TimeOp::SkewClock { place, mark, by })]);
        fake.world().beneath.clock.shifted = 1;
        assert!(matches!(fault().prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn proven_by_what_the_subject_is_told() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let told = |ahead, direct| Some(Told { who: "agent (pid 7)".into(), ahead, direct });
        for (told, proven) in [
            (None, false),
            (told(-3600, false), true),
            (told(-3599, false), true),
            (told(0, false), false),
            (told(3600, false), false),
            (told(-3600, true), false),
            (told(0, true), false),
        ] {
            fake.world().beneath.clock = ClockFacts { shifted: 1, told };
            let effect = fault().verify(&(), &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
            assert!(!fault().verify_reverted(&(), &cx).await.unwrap().proven);
        }
        fake.world().beneath.clock = ClockFacts::default();
        assert!(fault().verify_reverted(&(), &cx).await.unwrap().proven);
    }

    #[test]
    fn it_acts_on_a_container_as_a_whole() {
        let declared = Declared { volume: None, is_mount_point: false, host_wide: false };
        let on: ClockSkew = serde_saphyr::from_str("{ target: agent:/data, by: +1s }").unwrap();
        assert_eq!((on.check(&declared).len(), fault().check(&declared).len()), (1, 0));
    }
}

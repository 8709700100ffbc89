//! `throttle`: a device that has become slow, for one container.
//!
//! Mechanism: the limits of the container's cgroup on the disk beneath the volume
//! (`blkio.throttle.*` on cgroup v1, `io.max` on v2). Blast radius: one container. Undone by the
//! limits that were there. Measured: direct and synced I/O is held back, buffered writes are not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
};
use crate::{
    protocol::{Capability, Dev, Direction, Init, IoFacts, IoLimits, Op, Outcome, Pace, PaceTrial},
    units::{Rate, Size},
};

/// Limits how fast a container reads and writes the disk beneath a volume.
///
/// Syncs and direct I/O wait; buffered writes do not, until somebody syncs them. Nothing fails. Use
/// it to see whether latency stays bounded when the device falls behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// A directory on the volume: `service:/path`.
    pub(super) target: Target,
    /// Bytes read per second.
    read: Option<Size>,
    /// Bytes written per second.
    write: Option<Size>,
    /// Read operations per second.
    read_ops: Option<Rate>,
    /// Write operations per second.
    write_ops: Option<Rate>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// The init whose cgroup is changed.
    init: Init,
    /// The disk.
    dev: Dev,
    /// Its limits.
    limits: IoLimits,
    /// The limits that this injection puts in force: in a ramp, not yet the last ones.
    limited: Vec<Limit>,
    /// How fast each of those was, per second.
    paces: Vec<f64>,
}

/// One limit, and how it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Limit {
    direction: Direction,
    /// Operations are counted, not bytes.
    operations: bool,
    /// At most so many per second.
    most: u64,
}

const NAME: &str = "throttle";

/// Below, one block takes seconds: that is no slow device but a stalled one.
const LEAST_BYTES: u64 = 32 << 10;
const LEAST_OPS: u64 = 4;

/// A measurement asks for what may pass in this many milliseconds, and ends after at most four
/// times that.
const MEASURED_MS: u64 = 1000;

/// The kernel lets through by slices of a tenth of a second, so a short measurement may see more.
const SLACK: f64 = 1.5;
/// A device that is not faster than this many times the limit would hide it.
const FASTER: f64 = 2.0;

impl Limit {
    fn trial(self) -> PaceTrial {
        // sixteen operations or more in the time of a measurement, in whole pages
        let page = 4096;
        let block = if self.operations {
            page
        } else {
            (self.most / 16 / page * page).clamp(page, 256 << 10)
        };
        let passing = if self.operations { self.most } else { self.most.div_ceil(block) };
        PaceTrial {
            direction: self.direction,
            block: u32::try_from(block).unwrap_or(4096),
            operations: passing * MEASURED_MS / 1000,
            most_ms: 4 * MEASURED_MS,
        }
    }

    /// Where a device's limits have this one.
    fn slot(self, limits: &mut IoLimits) -> &mut Option<u64> {
        match (self.direction, self.operations) {
            (Direction::Read, false) => &mut limits.read_bytes,
            (Direction::Write, false) => &mut limits.write_bytes,
            (Direction::Read, true) => &mut limits.read_ops,
            (Direction::Write, true) => &mut limits.write_ops,
        }
    }

    /// What a device's limits say of it.
    fn of(self, limits: &IoLimits) -> Option<u64> {
        *self.slot(&mut limits.clone())
    }

    /// Whether they let no more pass: a later stage of a ramp lets less.
    fn is_kept_by(self, limits: &IoLimits) -> bool {
        self.of(limits).is_some_and(|most| most <= self.most)
    }

    /// What passed per second, in the unit of the limit.
    fn rate(self, pace: Pace) -> f64 {
        let count = if self.operations { pace.operations } else { pace.bytes };
        count as f64 * 1e6 / pace.took_us.max(1) as f64
    }

    fn words(self, rate: f64) -> String {
        let way = if self.direction == Direction::Read { "read" } else { "write" };
        let rate = whole(rate);
        if self.operations {
            format!("{way} {rate} ops/s")
        } else {
            format!("{way} {}/s", Size(rate))
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is not negative, and a part of one more is not meant"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

impl Throttle {
    fn limits(&self) -> Vec<Limit> {
        let bytes = |direction, limit: Option<Size>| {
            limit.map(|Size(most)| Limit { direction, operations: false, most })
        };
        let operations = |direction, limit: Option<Rate>| {
            limit.map(|Rate(most)| Limit { direction, operations: true, most: whole(most) })
        };
        let all = [
            bytes(Direction::Read, self.read),
            bytes(Direction::Write, self.write),
            operations(Direction::Read, self.read_ops),
            operations(Direction::Write, self.write_ops),
        ];
        all.into_iter().flatten().collect()
    }

    /// Refuses limits that the device itself would keep.
    fn admit(&self, limits: &[Limit], paces: &[f64]) -> Result<(), FaultError> {
        for (limit, pace) in limits.iter().zip(paces) {
            if *pace < limit.most as f64 * FASTER {
                return Err(FaultError::Refused(format!(
                    "the device at `{}` manages no more than {} by itself, so a limit of {} would \
                     not be seen\n\nhint: write a limit below half of that",
                    self.target,
                    limit.words(*pace),
                    limit.words(limit.most as f64)
                )));
            }
        }
        Ok(())
    }
}

/// The limits of a stage: slower by the same factor in each, from what passes now. A device that
/// loses the same number of bytes each time would not be seen to change until the last stage.
fn staged(limits: Vec<Limit>, paces: &[f64], now: &IoLimits, share: f64) -> Vec<Limit> {
    let stage = |(limit, pace): (Limit, &f64)| {
        // a measurement that ends within one slice of the kernel's sees more than the limit
        let from = pace.min(limit.of(now).map_or(f64::INFINITY, |limit| limit as f64));
        let most = limit.most as f64;
        let factor = (from / most).max(1.0).powf(1.0 - share);
        Limit { most: whole(most * factor), ..limit }
    };
    limits.into_iter().zip(paces).map(stage).collect()
}

/// What is to be in force: what is not limited here stays as it is.
fn wanted(limits: &[Limit], now: IoLimits) -> IoLimits {
    limits.iter().fold(now, |mut all, limit| {
        *limit.slot(&mut all) = Some(limit.most);
        all
    })
}

/// How fast each limited direction is.
async fn measure(limits: &[Limit], cx: &Cx<'_>) -> Result<Vec<f64>, FaultError> {
    let mut rates = Vec::new();
    for limit in limits {
        rates.push(limit.rate(cx.pace(&cx.site.place, limit.trial()).await?));
    }
    Ok(rates)
}

impl Fault for Throttle {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::IoLimits];
    const EXAMPLE: &'static str = "throttle: { target: agent:/data, write: 1MiB, write_ops: 50/s }";
    const RAMPS: bool = true;
    const ON_OTHERS: OnOthers = OnOthers::GIVEN_BACK;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let limits: Vec<String> =
            self.limits().into_iter().map(|limit| limit.words(limit.most as f64)).collect();
        Described {
            act: format!("limit I/O on the disk beneath `{}`: {}", self.target, limits.join(", ")),
            undo: "put the limits back that were there".into(),
            proof: "direct I/O in the container's cgroup is measured before and after, and the \
                    limits are there"
                .into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_volume(NAME, &self.target, declared));
        if declared.volume.is_some_and(|volume| volume.name() == "tmpfs") {
            wrong.push(format!(
                "`{NAME}` acts on a disk, and a tmpfs has none\n\nhint: use `ext4: {{ size: 64MiB }}`"
            ));
        }
        let limits = self.limits();
        if limits.is_empty() {
            wrong.push(
                "nothing is limited\n\nhint: write `write: 1MiB` or `write_ops: 50/s`".into(),
            );
        }
        for limit in limits {
            let least = if limit.operations { LEAST_OPS } else { LEAST_BYTES };
            if limit.most < least {
                wrong.push(format!(
                    "{} is no slow device but a stalled one\n\nhint: write `{}` or more",
                    limit.words(limit.most as f64),
                    if limit.operations { format!("{least}/s") } else { Size(least).to_string() }
                ));
            }
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let IoFacts { device, limits } = cx.io(&place).await?;
        let dev = device.ok_or_else(|| {
            FaultError::Refused(format!(
                "there is no one disk beneath `{}`, so nothing there can be limited\n\nhint: use a \
                 volume with its own, such as `ext4`",
                self.target
            ))
        })?;
        if wanted(&self.limits(), limits) == limits {
            return Err(FaultError::Refused(format!(
                "these limits are in force at `{}` already, so the fault would change nothing",
                self.target
            )));
        }
        let paces = measure(&self.limits(), cx).await?;
        let limited = staged(self.limits(), &paces, &limits, cx.share);
        self.admit(&limited, &paces)?;
        let (init, to) = (cx.init().await?, wanted(&limited, limits));
        let limit = |from, to| vec![Op::LimitIo { place: place.clone(), init, dev, from, to }];
        let (ops, undo) = (limit(limits, to), limit(to, limits));
        Ok(Prepared { before: Before { init, dev, limits, limited, paces }, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let limits = &before.limited;
        let paces = measure(limits, cx).await?;
        let slow = |(limit, pace): (&Limit, &f64)| *pace <= limit.most as f64 * SLACK;
        let seen =
            limits.iter().zip(paces.iter().zip(&before.paces)).map(|(limit, (now, then))| {
                format!("{} measured, {} before", limit.words(*now), limit.words(*then))
            });
        let evidence = seen.collect::<Vec<_>>().join("; ");
        // a device may be that slow by itself, as when somebody else keeps it busy
        let there = cx.io(&cx.site.place).await?.limits;
        if let Some(missing) = limits.iter().find(|limit| !limit.is_kept_by(&there)) {
            let missing = missing.words(missing.most as f64);
            return Ok(Effect::unproven(format!("{evidence}; no limit of {missing} is there")));
        }
        let proven = limits.iter().zip(&paces).all(slow);
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if cx.init().await? != before.init {
            return Ok(Effect::proven("the container was started anew, and its cgroup with it"));
        }
        let IoFacts { limits, .. } = cx.io(&cx.site.place).await?;
        let proven = limits == before.limits;
        // how fast the device is now depends on whoever else uses it: it is told, and not judged
        let measured = if proven { self.limits() } else { Vec::new() };
        let paces = measure(&measured, cx).await?;
        let seen: Vec<_> =
            measured.iter().zip(&paces).map(|(limit, now)| limit.words(*now)).collect();
        let evidence = if proven {
            format!("the limits are what they were; {}", seen.join(", "))
        } else {
            format!("limits {limits:?}, before {:?}", before.limits)
        };
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> Throttle {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data, write: 1MiB, write_ops: 50/s }";

    #[tokio::test]
    async fn proven_when_no_more_passes_than_the_limit() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let (cx, fault) = (fake.cx(&site), fault(PLAIN));
        let old = IoLimits { read_ops: Some(7), ..IoLimits::default() };
        fake.world().io = IoFacts { device: Some(testing::DEV), limits: old };
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let new = IoLimits { write_bytes: Some(1 << 20), write_ops: Some(50), ..old };
        assert!(matches!(&ops[..], [Op::LimitIo { from, to, .. }] if (*from, *to) == (old, new)));
        assert!(matches!(&undo[..], [Op::LimitIo { from, to, .. }] if (*from, *to) == (new, old)));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nothing was done");
        fake.world().ops_per_second = 16;
        let slow = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(!slow.proven && slow.evidence.contains("no limit of write 1MiB/s"), "{slow:?}");
        fake.world().io.limits = IoLimits { write_bytes: Some(1 << 20), ..old };
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "one of two");
        // another fault may have its own beside them by now
        let both = IoLimits { read_bytes: Some(1 << 20), ..new };
        fake.world().io.limits = both;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().io.limits = new;
        fake.world().ops_per_second = 100_000;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "limits alone");
        fake.world().ops_per_second = 16;
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven, "{effect:?}");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().io.limits = old;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn refused_where_nothing_would_change() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let (cx, fault) = (fake.cx(&site), fault(PLAIN));
        let refused = async || matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_)));
        assert!(refused().await, "no disk");
        let limits = wanted(&fault.limits(), IoLimits::default());
        fake.world().io = IoFacts { device: Some(testing::DEV), limits };
        assert!(refused().await, "the same limits");
        fake.world().io.limits = IoLimits::default();
        fake.world().ops_per_second = 60;
        assert!(refused().await, "a device as slow as that");
    }

    #[test]
    fn static_complaints() {
        let disk = testing::volume_spec("ext4: { size: 64MiB }");
        let memory = testing::volume_spec("tmpfs: {}");
        let on = |volume| Declared { volume, is_mount_point: true, host_wide: false };
        assert!(fault(PLAIN).check(&on(Some(&disk))).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&memory))).len(), 1);
        assert_eq!(fault(PLAIN).check(&on(None)).len(), 1);
        let wrong = |yaml| fault(yaml).check(&on(Some(&disk))).len();
        assert_eq!(wrong("{ target: agent:/data }"), 1);
        assert_eq!(wrong("{ target: agent:/data, read: 1KiB, write_ops: 1/s }"), 2);
        assert_eq!(wrong("{ target: agent, read: 1MiB }"), 1);
    }

    #[test]
    fn each_stage_of_a_ramp_is_slower_by_the_same_factor() {
        let limit = Limit { direction: Direction::Write, operations: false, most: 1 << 20 };
        let (mut pace, mut now) = ((64 << 20) as f64, IoLimits::default());
        for (left, most) in [(3.0, 16 << 20), (2.0, 4 << 20), (1.0, 1 << 20)] {
            let staged = staged(vec![limit], &[pace], &now, 1.0 / left);
            assert_eq!(staged[0].most, most);
            // what passes in a burst is more than the limit, and does not count
            (pace, now) = ((60 << 20) as f64, wanted(&staged, now));
        }
        assert_eq!(now.write_bytes, Some(1 << 20));
    }

    #[test]
    fn a_measurement_takes_about_a_second() {
        for (limit, block, operations) in [
            (Limit { direction: Direction::Read, operations: false, most: 1 << 20 }, 65536, 16),
            (Limit { direction: Direction::Write, operations: false, most: 32 << 10 }, 4096, 8),
            (Limit { direction: Direction::Write, operations: true, most: 50 }, 4096, 50),
        ] {
            let trial = limit.trial();
            assert_eq!((trial.block, trial.operations), (block, operations));
        }
    }
}

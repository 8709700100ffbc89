//! `throttle`: a device that has become slow, for one container.
//!
//! Mechanism: the limits of the container's cgroup on the disk beneath the volume
//! (`blkio.throttle.*` on cgroup v1, `io.max` on v2). Blast radius: one container. Undone by the
//! limits that were there. Measured: direct and synced I/O is held back, buffered writes are not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
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
    target: Target,
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
    /// How fast each limited direction was, in the order of the limits, per second.
    paces: Vec<f64>,
}

/// One limit, and how it is measured.
#[derive(Debug, Clone, Copy)]
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

    /// The limits to be put in force: what is not limited here stays as it is.
    fn wanted(&self, now: IoLimits) -> IoLimits {
        let bytes = |limit: Option<Size>, now| limit.map(|size| size.0).or(now);
        let operations = |limit: Option<Rate>, now| limit.map(|rate| whole(rate.0)).or(now);
        IoLimits {
            read_bytes: bytes(self.read, now.read_bytes),
            write_bytes: bytes(self.write, now.write_bytes),
            read_ops: operations(self.read_ops, now.read_ops),
            write_ops: operations(self.write_ops, now.write_ops),
        }
    }

    async fn measure(&self, cx: &Cx<'_>) -> Result<Vec<f64>, FaultError> {
        let mut rates = Vec::new();
        for limit in self.limits() {
            rates.push(limit.rate(cx.pace(&cx.site.place, limit.trial()).await?));
        }
        Ok(rates)
    }

    /// Refuses limits that the device itself would keep.
    fn admit(&self, paces: &[f64]) -> Result<(), FaultError> {
        for (limit, pace) in self.limits().into_iter().zip(paces) {
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

impl Fault for Throttle {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::IoLimits];
    const EXAMPLE: &'static str = "throttle: { target: agent:/data, write: 1MiB, write_ops: 50/s }";

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
            proof: "direct I/O in the container's cgroup is measured before and after".into(),
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
        let to = self.wanted(limits);
        if to == limits {
            return Err(FaultError::Refused(format!(
                "these limits are in force at `{}` already, so the fault would change nothing",
                self.target
            )));
        }
        let paces = self.measure(cx).await?;
        self.admit(&paces)?;
        let init = cx.init().await?;
        let limit = |from, to| vec![Op::LimitIo { place: place.clone(), init, dev, from, to }];
        let (ops, undo) = (limit(limits, to), limit(to, limits));
        Ok(Prepared { before: Before { init, dev, limits, paces }, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let paces = self.measure(cx).await?;
        let limits = self.limits();
        let slow = |(limit, pace): (&Limit, &f64)| *pace <= limit.most as f64 * SLACK;
        let proven = limits.iter().zip(&paces).all(slow);
        let seen =
            limits.iter().zip(paces.iter().zip(&before.paces)).map(|(limit, (now, then))| {
                format!("{} measured, {} before", limit.words(*now), limit.words(*then))
            });
        let evidence = seen.collect::<Vec<_>>().join("; ");
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
        let paces = if proven { self.measure(cx).await? } else { Vec::new() };
        let seen: Vec<_> =
            self.limits().iter().zip(&paces).map(|(limit, now)| limit.words(*now)).collect();
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
        fake.world().io.limits = new;
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
        let limits = fault.wanted(IoLimits::default());
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

//! `filesystem`: space and inodes under a path, as the container's processes see them. Changes
//! nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, FsFacts, Read, Reading},
    units::{Percent, Size},
};

/// Bytes and inodes of the filesystem under a path, free and in use.
///
/// Counted as `df` does: free is what ordinary users may still use, and shares leave the reserve
/// of root out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filesystem {
    /// The service.
    service: String,
    /// Absolute path in the container.
    path: String,
    /// Bytes free: `{ min: 1MiB }`.
    bytes_free: Option<Bounds<Size>>,
    /// Share of the bytes in use: `{ max: 85% }`.
    bytes_used: Option<Bounds<Percent>>,
    /// Inodes free: `{ min: 10 }`.
    inodes_free: Option<Bounds<u64>>,
    /// Share of the inodes in use; 0 where the filesystem has no limit.
    inodes_used: Option<Bounds<Percent>>,
    /// It refuses writes, by its own or its mount's flag.
    read_only: Option<bool>,
}

/// Share of what is used in what is used or free, in hundredths of a percent's precision.
fn used(used: u64, free: u64) -> Percent {
    let whole = used as f64 + free as f64;
    if whole == 0.0 {
        return Percent(0.0);
    }
    Percent((used as f64 / whole * 1e4).round() / 1e2)
}

fn bytes_used(fs: &FsFacts) -> Percent {
    used(fs.bytes_total.saturating_sub(fs.bytes_free), fs.bytes_available)
}

fn inodes_used(fs: &FsFacts) -> Percent {
    used(fs.inodes_total.saturating_sub(fs.inodes_free), fs.inodes_free)
}

impl Filesystem {
    fn judge(&self, fs: &FsFacts) -> Option<String> {
        let mut wrong = Wrong::default();
        let free = Size(fs.bytes_available);
        wrong.add(self.bytes_free.and_then(|bounds| bounds.violation("free space", free)));
        let share = bytes_used(fs);
        wrong.add(self.bytes_used.and_then(|bounds| bounds.violation("used space", share)));
        let inodes = fs.inodes_free;
        wrong.add(self.inodes_free.and_then(|n| n.violation("number of free inodes", inodes)));
        let share = inodes_used(fs);
        wrong.add(self.inodes_used.and_then(|n| n.violation("share of used inodes", share)));
        if let Some(wanted) = self.read_only {
            let is = if fs.read_only { "it is read-only" } else { "it is writable" };
            wrong.unless(fs.read_only == wanted, || is.into());
        }
        wrong.violation()
    }

    fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        details.extend(self.bytes_free.map(|bounds| format!("has {bounds} free")));
        details.extend(self.bytes_used.map(|bounds| format!("is {bounds} full")));
        details.extend(self.inodes_free.map(|bounds| format!("has {bounds} inodes free")));
        details.extend(self.inodes_used.map(|bounds| format!("uses {bounds} of its inodes")));
        details
            .extend(self.read_only.map(|read_only| {
                if read_only { "is read-only" } else { "is writable" }.to_owned()
            }));
        details
    }
}

impl Probe for Filesystem {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "filesystem: { service: agent, path: /data, bytes_used: { max: 85% } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        format!("{}: `{}` {}", self.service, self.path, self.details().join(", "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.bytes_free.and_then(|bounds| bounds.check("bytes_free")));
        wrong.add(self.bytes_used.and_then(|bounds| bounds.check("bytes_used")));
        wrong.add(self.inodes_free.and_then(|bounds| bounds.check("inodes_free")));
        wrong.add(self.inodes_used.and_then(|bounds| bounds.check("inodes_used")));
        wrong.unless(!self.details().is_empty(), || {
            subject::expects_nothing("bytes_free: { min: 1MiB }")
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::Fs(place.clone());
        let fs = expect_reading!(subject::read(cx, &place, read).await?, Reading::Fs);
        let observed = format!(
            "{}: {} bytes free ({} used), {} inodes free ({} used), {}",
            fs.fs_type,
            fs.bytes_available,
            bytes_used(&fs),
            fs.inodes_free,
            inodes_used(&fs),
            if fs.read_only { "read-only" } else { "writable" }
        );
        let inodes = self.bytes_free.is_none() && self.bytes_used.is_none();
        let (number, unit) = match inodes {
            true => (fs.inodes_free, Unit::Inodes),
            false => (fs.bytes_available, Unit::Bytes),
        };
        Ok(Sample::judged(observed, self.judge(&fs)).number(number as f64, unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Filesystem {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn each_bound_is_judged_as_df_counts() {
        // 16 of 64 MiB in use, 44 available: 16 / 60; 12 of 512 inodes
        let world = World::default();
        for good in [
            ", bytes_free: 44MiB",
            ", bytes_used: { min: 26%, max: 27% }",
            ", inodes_free: { min: 500 }",
            ", inodes_used: { max: 2.4% }",
            ", read_only: false",
        ] {
            let sample = probe(good).read(&world).await.unwrap();
            assert!(sample.holds(), "{good}: {sample:?}");
        }
        for bad in [
            ", bytes_free: { max: 40MiB }",
            ", bytes_used: { max: 25% }",
            ", inodes_free: 0",
            ", inodes_used: { min: 50% }",
            ", read_only: true",
        ] {
            assert!(!probe(bad).read(&world).await.unwrap().holds(), "{bad}");
        }
    }

    #[test]
    fn a_filesystem_without_inodes_uses_none_of_them() {
        assert_eq!(used(0, 0), Percent(0.0));
        assert_eq!(used(1, 0), Percent(100.0));
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("").check().len(), 1);
        assert_eq!(probe(", inodes_free: { min: 3, max: 1 }").check().len(), 1);
    }
}

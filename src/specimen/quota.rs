//! The quota of the data volume, and what is given up before it is used up: three rungs, each
//! climbed once.
//!
//! `df` knows nothing of a btrfs quota, and EDQUOT comes too late: a service that waits for it loses
//! what matters together with what does not. The figures are in sysfs, as of the last commit of the
//! filesystem, which is asked for. Quota groups are nested: of those with a limit, the one that is
//! closest to it counts. Well below the first rung everything is allowed again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::SpecimenArgs;
use super::service::Service;
use super::temp;
use super::weakness::Weakness;

/// Percent of the quota in use, and what is done there.
const RUNGS: [(f64, Act); 3] = [(85.0, Act::Mark), (92.0, Act::Freeze), (98.0, Act::Evict)];
/// Below this share the ladder is climbed down from.
const DOWN: f64 = 80.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Say it, and show it in the metrics.
    Mark,
    /// Write nothing that is not needed.
    Freeze,
    /// Delete what is needed least.
    Evict,
}

/// Whether what is not needed may be written.
#[derive(Debug, Default)]
pub(super) struct Frozen(AtomicBool);

impl Frozen {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) struct Ladder {
    data: PathBuf,
    alarms_only: bool,
    climbed: usize,
}

impl Ladder {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let alarms_only = args.has(Weakness::AlarmsOnly);
        Self { data: args.data.clone(), alarms_only, climbed: 0 }
    }

    /// One look at the quota; none is no trouble.
    pub(super) fn look(&mut self, service: &Service) {
        let Some(used) = percent_used(&self.data) else { return };
        for act in self.climb(used) {
            if !self.alarms_only {
                act.perform(service);
            }
            service.metrics.quota_rungs.add(1);
            service.console.say(format!("quota: {used:.0}% in use: {}", act.name()));
        }
        if self.climbed == 0 {
            service.frozen.0.store(false, Ordering::Relaxed);
        }
    }

    /// The rungs that are reached anew, from the lowest up.
    fn climb(&mut self, used: f64) -> Vec<Act> {
        if used < DOWN {
            self.climbed = 0;
        }
        let reached = RUNGS.iter().take_while(|(at, _)| used >= *at).count();
        let acts = RUNGS[self.climbed.min(reached)..reached].iter().map(|(_, act)| *act).collect();
        self.climbed = self.climbed.max(reached);
        acts
    }
}

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::Mark => "marked",
            Self::Freeze => "temporary files frozen",
            Self::Evict => "temporary files evicted",
        }
    }

    fn perform(self, service: &Service) {
        match self {
            Self::Mark => {}
            Self::Freeze => service.frozen.0.store(true, Ordering::Relaxed),
            Self::Evict => {
                temp::delete(service, |_| true);
            }
        }
    }
}

/// Percent of the volume's quota in use; none without one.
fn percent_used(dir: &Path) -> Option<f64> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let device = device(&table, dir)?;
    let filesystems = fs::read_dir("/sys/fs/btrfs").ok()?;
    let ours = filesystems
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.join("devices").join(device).exists())?;
    let limits = limits(&ours.join("qgroups"));
    if limits.is_empty() {
        return None;
    }
    // Only a commit brings the figures up to date, and without this the next may be far.
    rustix::fs::syncfs(File::open(dir).ok()?).ok()?;
    limits.iter().filter_map(|group| percent_of(group)).reduce(f64::max)
}

/// The groups that apply and have a limit. sysfs does not say what is in a group: in a filesystem
/// for this volume alone, the top subvolume is in every one above its own.
fn limits(groups: &Path) -> Vec<PathBuf> {
    let applies = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == "0_5" || name.split_once('_').is_some_and(|(level, _)| level != "0")
    };
    let limited = |path: &PathBuf| number(path, "limit_flags").is_some_and(|flags| flags & 1 == 1);
    let all = fs::read_dir(groups).into_iter().flatten().flatten().map(|entry| entry.path());
    all.filter(applies).filter(limited).collect()
}

fn percent_of(group: &Path) -> Option<f64> {
    let (used, most) = (number(group, "referenced")?, number(group, "max_referenced")?);
    (most > 0).then(|| used as f64 / most as f64 * 100.0)
}

fn number(group: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(group.join(name)).ok()?.trim().parse().ok()
}

/// The block device, by its kernel name, that is mounted at `dir`.
fn device<'t>(table: &'t str, dir: &Path) -> Option<&'t str> {
    let line = table.lines().rfind(|line| line.split(' ').nth(4).map(Path::new) == Some(dir))?;
    let source = line.split(" - ").nth(1)?.split(' ').nth(1)?;
    source.strip_prefix("/dev/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        Ladder { data: "/data".into(), alarms_only: false, climbed: 0 }
    }

    #[test]
    fn each_rung_is_climbed_once_and_in_order() {
        let mut ladder = ladder();
        assert!(ladder.climb(84.9).is_empty());
        assert_eq!(ladder.climb(85.0), [Act::Mark]);
        assert!(ladder.climb(91.0).is_empty());
        assert_eq!(ladder.climb(99.0), [Act::Freeze, Act::Evict]);
        assert!(ladder.climb(99.0).is_empty() && ladder.climb(86.0).is_empty());
        assert!(ladder.climb(93.0).is_empty(), "not before it was well below");
        assert!(ladder.climb(79.0).is_empty());
        assert_eq!(ladder.climb(100.0), [Act::Mark, Act::Freeze, Act::Evict]);
    }

    #[test]
    fn the_groups_that_count_are_the_own_one_and_those_above() {
        let groups = tempfile::tempdir().unwrap();
        let add = |name: &str, flags: u8, used: u64| {
            let group = groups.path().join(name);
            fs::create_dir(&group).unwrap();
            fs::write(group.join("limit_flags"), format!("{flags}\n")).unwrap();
            fs::write(group.join("referenced"), format!("{used}\n")).unwrap();
            fs::write(group.join("max_referenced"), "100\n").unwrap();
        };
        let most = || {
            let limits = limits(groups.path());
            limits.iter().filter_map(|group| percent_of(group)).reduce(f64::max)
        };
        // a neighbour's, and one without a limit
        add("0_256", 1, 99);
        add("0_5", 0, 98);
        assert_eq!(most(), None);
        add("1_100", 1, 40);
        assert_eq!(most(), Some(40.0));
        add("2_1", 1, 60);
        assert_eq!(most(), Some(60.0));
    }

    #[test]
    fn the_device_is_that_of_the_top_mount() {
        let table = "20 1 0:1 / / rw - overlay overlay rw\n\
                     21 20 0:2 / /data rw - btrfs /dev/loop3 rw\n\
                     22 21 0:3 / /data rw shared:1 - btrfs /dev/loop4 rw\n";
        assert_eq!(device(table, Path::new("/data")), Some("loop4"));
        assert_eq!(device(table, Path::new("/")), None, "not a device");
        assert_eq!(device(table, Path::new("/other")), None);
    }
}

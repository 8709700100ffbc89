//! Counters and gauges in Prometheus text format.

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::health::{State, View};
use super::space::Space;

/// A counter that only rises.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

pub(super) struct Metrics {
    started: Instant,
    pub(super) acked: Counter,
    pub(super) failed: Counter,
    pub(super) heartbeats: Counter,
    pub(super) log_dropped: Counter,
    pub(super) log_deleted: Counter,
    pub(super) lost_state: Counter,
    pub(super) links_diverged: Counter,
    pub(super) mount_alarms: Counter,
    pub(super) latency_alarms: Counter,
    pub(super) agents_offline: Counter,
    /// Records that came too early for `orders-by-wall-clock`.
    pub(super) early_refused: Counter,
    pub(super) stale_refused: Counter,
    pub(super) stale_taken: Counter,
    /// Bytes of the journal that wait for the controller.
    pub(super) undelivered: Gauge,
    /// Appends that wait for the storage.
    pub(super) waiting: Gauge,
    pub(super) index_warmed: Counter,
    pub(super) cleanups: Counter,
    pub(super) temp_deleted: Counter,
    pub(super) quota_rungs: Counter,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            acked: Counter::default(),
            failed: Counter::default(),
            heartbeats: Counter::default(),
            log_dropped: Counter::default(),
            log_deleted: Counter::default(),
            lost_state: Counter::default(),
            links_diverged: Counter::default(),
            mount_alarms: Counter::default(),
            latency_alarms: Counter::default(),
            agents_offline: Counter::default(),
            early_refused: Counter::default(),
            stale_refused: Counter::default(),
            stale_taken: Counter::default(),
            undelivered: Gauge::default(),
            waiting: Gauge::default(),
            index_warmed: Counter::default(),
            cleanups: Counter::default(),
            temp_deleted: Counter::default(),
            quota_rungs: Counter::default(),
        }
    }

    fn counters(&self) -> [(&'static str, &Counter); 15] {
        [
            ("specimen_appends_acked_total", &self.acked),
            ("specimen_appends_failed_total", &self.failed),
            ("specimen_heartbeats_total", &self.heartbeats),
            ("specimen_log_dropped_total", &self.log_dropped),
            ("specimen_log_deleted_total", &self.log_deleted),
            ("specimen_lost_state_total", &self.lost_state),
            ("specimen_links_diverged_total", &self.links_diverged),
            ("specimen_mount_alarms_total", &self.mount_alarms),
            ("specimen_latency_alarms_total", &self.latency_alarms),
            ("specimen_agents_offline_total", &self.agents_offline),
            ("specimen_early_refused_total", &self.early_refused),
            ("specimen_index_warmed_total", &self.index_warmed),
            ("specimen_cleanups_total", &self.cleanups),
            ("specimen_temp_deleted_total", &self.temp_deleted),
            ("specimen_quota_rungs_total", &self.quota_rungs),
        ]
    }

    /// Everything as text; a directory whose filesystem does not answer is left out.
    pub(super) fn render(&self, view: &View, dirs: &[(&str, &Path)]) -> String {
        let mut out = String::new();
        for (name, counter) in self.counters() {
            let _ = writeln!(out, "# TYPE {name} counter\n{name} {}", counter.get());
        }
        let _ = writeln!(out, "# TYPE specimen_stale_work_total counter");
        for (taken, count) in [("no", &self.stale_refused), ("yes", &self.stale_taken)] {
            let _ = writeln!(out, "specimen_stale_work_total{{taken=\"{taken}\"}} {}", count.get());
        }
        for (name, gauge) in [
            ("specimen_undelivered_bytes", &self.undelivered),
            ("specimen_appends_waiting", &self.waiting),
        ] {
            let value = gauge.0.load(Ordering::Relaxed);
            let _ = writeln!(out, "# TYPE {name} gauge\n{name} {value}");
        }
        let _ = writeln!(out, "# TYPE specimen_errors_total counter");
        for (errno, count) in &view.errors {
            let _ = writeln!(out, "specimen_errors_total{{errno=\"{errno}\"}} {count}");
        }
        let _ = writeln!(out, "# TYPE specimen_state gauge");
        for state in State::ALL {
            let on = u8::from(state == view.state);
            let _ = writeln!(out, "specimen_state{{state=\"{}\"}} {on}", state.name());
        }
        render_space(&mut out, dirs);
        let uptime = self.started.elapsed().as_secs_f64();
        let _ = writeln!(
            out,
            "# TYPE specimen_uptime_seconds gauge\nspecimen_uptime_seconds {uptime:.3}"
        );
        out
    }
}

/// Free bytes and inodes of each directory's filesystem, where it answers.
fn render_space(out: &mut String, dirs: &[(&str, &Path)]) {
    let spaces: Vec<_> =
        dirs.iter().filter_map(|(name, dir)| Some((name, Space::of(dir).ok()?))).collect();
    let _ = writeln!(out, "# TYPE specimen_free_bytes gauge");
    for (name, space) in &spaces {
        let _ = writeln!(out, "specimen_free_bytes{{dir=\"{name}\"}} {}", space.bytes);
    }
    let _ = writeln!(out, "# TYPE specimen_free_inodes gauge");
    for (name, inodes) in spaces.iter().filter_map(|(name, space)| Some((name, space.inodes?))) {
        let _ = writeln!(out, "specimen_free_inodes{{dir=\"{name}\"}} {inodes}");
    }
}

//! Which objects of a scenario a fault's target stands for. Pure; the plan chooses among them.

use super::{Scenario, Service};
use crate::faults::{FaultSpec, Scope, Selector, Target};

impl Scenario {
    /// Every object that a fault's target matches, by the name of the service; just the target,
    /// where it selects nothing.
    #[must_use]
    pub fn objects(&self, fault: &FaultSpec) -> Vec<Target> {
        let target = fault.target();
        let Some(select) = &target.select else { return vec![target.clone()] };
        match &select.volume {
            // whoever mounts it feels a fault that lies on the volume itself: once is all of it
            Some(volume) if fault.scope() != Scope::Container => {
                self.mounts_of(volume).into_iter().take(1).collect()
            }
            Some(volume) => self.mounts_of(volume),
            None => self.services_of(select),
        }
    }

    /// Where a volume is mounted; writable mounts first.
    fn mounts_of(&self, volume: &str) -> Vec<Target> {
        let of = |read_only: bool| {
            self.services.iter().flat_map(move |(name, service)| {
                let mounts = service.mounts.iter().filter(move |(_, mount)| {
                    mount.volume == volume && mount.read_only == read_only
                });
                mounts.map(|(point, _)| Target::one(name, Some(point)))
            })
        };
        of(false).chain(of(true)).collect()
    }

    fn services_of(&self, select: &Selector) -> Vec<Target> {
        let matches = |name: &String, service: &Service| match &select.label {
            Some(label) => service.has_label(label),
            None => select.services.contains(name),
        };
        let services = self.services.iter().filter(|(name, service)| matches(name, service));
        services.map(|(name, _)| Target::one(name, select.path.as_deref())).collect()
    }
}

impl Service {
    /// It has this label, `role`, with this value where one is given: `role=node`.
    fn has_label(&self, label: &str) -> bool {
        match label.split_once('=') {
            Some((key, value)) => self.labels.get(key).is_some_and(|has| has == value),
            None => self.labels.contains_key(label),
        }
    }
}

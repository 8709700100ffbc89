//! Services that run already: which container each is, and what its mounts make of the scenario.
//! Pure: the engine's answers are handed in.

use std::collections::BTreeSet;

use super::Case;
use crate::{
    diagnostic::{listed, suggest},
    faults::{Declared, FaultSpec, refused_there},
    runtime::{ContainerFacts, Listed, State},
    scenario::{Allow, Attach, Mount, Scenario},
    volumes::{Filesystem, VolumeSpec},
};

/// Where Compose notes the service of a container.
pub(super) const SERVICE: &str = "com.docker.compose.service";

/// Ends the name of a volume that the run did not make: no scenario can write such a name.
const THEIRS: &str = " (theirs)";

/// Digits of an id that are taken for one, as the engine abbreviates it.
const ID: usize = 12;

/// Why a service's container cannot be attached to. Nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// No container matches.
    #[error("service `{service}`: no container is there with {wanted}\n\nhint: {hint}")]
    None {
        /// The service.
        service: String,
        /// What was looked for.
        wanted: String,
        /// The probable one, or all.
        hint: String,
    },
    /// More than one does.
    #[error(
        "service `{service}`: {wanted} matches several containers: {found}\n\nhint: name one of them with `container:`"
    )]
    Several {
        /// The service.
        service: String,
        /// What was looked for.
        wanted: String,
        /// Names in backticks.
        found: String,
    },
    /// It does not run, or is on its way up or down.
    #[error(
        "service `{service}`: container `{name}` does not run: it is {state}\n\nhint: start it first; nothing is started that did not run"
    )]
    NotRunning {
        /// The service.
        service: String,
        /// Name of the container.
        name: String,
        /// The engine's word.
        state: String,
    },
    /// It is removed as soon as it ends, and any fault may end a service.
    #[error(
        "service `{service}`: the engine removes container `{name}` as soon as it ends (`--rm`), and nobody could bring it back\n\nhint: start it without `--rm`"
    )]
    GoesWhenEnded {
        /// The service.
        service: String,
        /// Name of the container.
        name: String,
    },
    /// A run made it.
    #[error(
        "service `{service}`: container `{name}` belongs to a run of keelhaul, which removes it\n\nhint: `keelhaul recover --list` names the runs"
    )]
    OfARun {
        /// The service.
        service: String,
        /// Name of the container.
        name: String,
    },
    /// Two services are the same container.
    #[error(
        "services `{service}` and `{other}` are both container `{name}`\n\nhint: keep one, and aim at its paths"
    )]
    Twice {
        /// The service.
        service: String,
        /// Another service.
        other: String,
        /// Name of the container.
        name: String,
    },
    /// A fault does not fit what was found.
    #[error("{case}: {why}")]
    Unfit {
        /// Id of the case.
        case: String,
        /// What is wrong, with a hint.
        why: String,
    },
}

impl Case {
    /// It acts on containers that run already.
    #[must_use]
    pub fn attaches(&self) -> bool {
        self.scenario.services.values().any(|service| service.attach.is_some())
    }

    /// This volume was there before the run.
    #[must_use]
    pub fn is_theirs(volume: &str) -> bool {
        volume.ends_with(THEIRS)
    }

    /// Takes a container for a service: its mounts become the service's.
    ///
    /// # Errors
    /// When it does not run, or is another service too.
    pub fn attach(&mut self, service: &str, facts: ContainerFacts) -> Result<(), AttachError> {
        let (service, name) = (service.to_owned(), facts.name.clone());
        if !matches!(facts.state, State::Running | State::Paused) {
            let state = format!("{:?}", facts.state).to_lowercase();
            return Err(AttachError::NotRunning { service, name, state });
        }
        if facts.goes_when_ended {
            return Err(AttachError::GoesWhenEnded { service, name });
        }
        let twin = self.attached.iter().find(|(_, other)| other.id == facts.id);
        if let Some((other, _)) = twin {
            return Err(AttachError::Twice { service, other: other.clone(), name });
        }
        learn(&mut self.scenario, &service, &facts);
        self.attached.insert(service, facts);
        Ok(())
    }

    /// Looks whether every fault fits the containers that were found.
    ///
    /// # Errors
    /// The first that does not.
    pub fn fits_attached(&self) -> Result<(), AttachError> {
        let steps = 0..self.scenario.steps.len();
        match steps.flat_map(|step| self.faults(step)).find_map(|fault| self.unfit(&fault)) {
            Some(why) => Err(AttachError::Unfit { case: self.id.clone(), why }),
            None => Ok(()),
        }
    }

    /// What is wrong with a fault on the container that was found, with a hint; nothing where its
    /// service was not attached to.
    #[must_use]
    pub fn unfit(&self, fault: &FaultSpec) -> Option<String> {
        let mut facts = self.attached.get(&fault.target().service)?.clone();
        // what they share among each other is theirs alone
        let is_ours = |name: &String| self.attached.values().any(|one| one.name == *name);
        for own in facts.mounts.iter_mut().filter_map(|mount| mount.own.as_mut()) {
            own.shared_with.retain(|name| !is_ours(name));
        }
        unfit(&self.scenario, fault, &facts)
    }
}

/// The one container that is meant.
///
/// # Errors
/// When none is, or several are, or it is a run's.
pub fn find<'a>(
    service: &str,
    attach: &Attach,
    all: &'a [Listed],
) -> Result<&'a Listed, AttachError> {
    let service = service.to_owned();
    let matching: Vec<&Listed> = all.iter().filter(|one| matches(attach, one)).collect();
    let exact = matching.iter().find(|one| Some(one.name.as_str()) == attach.container.as_deref());
    match (exact, matching.as_slice()) {
        (Some(one), _) | (None, [one]) if one.ours => {
            Err(AttachError::OfARun { service, name: one.name.clone() })
        }
        (Some(one), _) | (None, [one]) => Ok(one),
        (None, []) => {
            let hint = hint(attach, all).unwrap_or_else(|| "`docker ps` lists them".into());
            Err(AttachError::None { service, wanted: attach.to_string(), hint })
        }
        (None, several) => {
            let found = listed(several.iter().map(|one| one.name.as_str()));
            Err(AttachError::Several { service, wanted: attach.to_string(), found })
        }
    }
}

fn matches(attach: &Attach, one: &Listed) -> bool {
    let is_called = |name: &String| {
        let name = name.trim_start_matches('/');
        one.name == name || name.len() >= ID && one.id.starts_with(name)
    };
    let has_label = |label: &String| match label.split_once('=') {
        Some((key, value)) => one.labels.get(key).is_some_and(|has| has == value),
        None => one.labels.contains_key(label),
    };
    // a selection is among what runs; a name may be of what does not, which is then said
    attach.container.as_ref().is_none_or(is_called)
        && attach.label.as_ref().is_none_or(has_label)
        && attach.project.as_ref().is_none_or(|project| one.project.as_ref() == Some(project))
        && attach.service.as_ref().is_none_or(|it| one.labels.get(SERVICE) == Some(it))
        && (attach.container.is_some() || one.running && !one.ours)
}

/// The probable name, or all that are known.
fn hint(attach: &Attach, all: &[Listed]) -> Option<String> {
    let theirs = || all.iter().filter(|one| one.running && !one.ours);
    if let Some(name) = &attach.container {
        return suggest(name, theirs().map(|one| one.name.as_str()));
    }
    if let Some(label) = &attach.label {
        let known: BTreeSet<String> = theirs()
            .flat_map(|one| &one.labels)
            .map(
                |(key, value)| {
                    if label.contains('=') { format!("{key}={value}") } else { key.clone() }
                },
            )
            .collect();
        let known = known.iter().map(String::as_str);
        return crate::diagnostic::closest(label, known)
            .map(|meant| format!("did you mean `{meant}`?"));
    }
    let project = attach.project.as_ref()?;
    let mut of_project = theirs().filter(|one| one.project.as_ref() == Some(project)).peekable();
    if of_project.peek().is_none() {
        return suggest(project, theirs().filter_map(|one| one.project.as_deref()));
    }
    let service = attach.service.as_ref()?;
    suggest(service, of_project.filter_map(|one| one.labels.get(SERVICE)).map(String::as_str))
}

/// Mounts and volumes of a service, as the engine has them.
fn learn(scenario: &mut Scenario, service: &str, facts: &ContainerFacts) {
    for mount in &facts.mounts {
        let own = mount.own.as_ref().and_then(|own| Filesystem::named(&own.fs_type));
        let Some(spec) = VolumeSpec::found(&mount.kind, &mount.source, own) else { continue };
        let name = match mount.kind.as_str() {
            "volume" => mount.volume.clone(),
            "bind" => mount.source.clone(),
            _ => format!("{service}:{}", mount.destination),
        };
        let volume = format!("{name}{THEIRS}");
        let here = Mount { volume: volume.clone(), read_only: !mount.writable, relabel: None };
        scenario.volumes.insert(volume, spec);
        if let Some(found) = scenario.services.get_mut(service) {
            found.mounts.insert(mount.destination.clone(), here);
        }
    }
}

/// What is wrong with a fault on the container that was found.
fn unfit(scenario: &Scenario, fault: &FaultSpec, facts: &ContainerFacts) -> Option<String> {
    let (target, name) = (fault.target(), &facts.name);
    let mounts = &scenario.services.get(&target.service)?.mounts;
    let path = target.path.as_deref().unwrap_or("/");
    let above = mounts.iter().filter(|(point, _)| {
        let rest = path.strip_prefix(point.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let mounted = above.max_by_key(|(point, _)| point.len());
    let declared = Declared {
        volume: mounted.and_then(|(_, mount)| scenario.volumes.get(&mount.volume)),
        is_mount_point: mounted.is_some_and(|(point, _)| point.trim_end_matches('/') == path),
        host_wide: false,
    };
    let found = mounted
        .and_then(|(point, _)| facts.mounts.iter().find(|mount| mount.destination == *point));
    if let Some(why) = refused_there(fault, found, scenario.allow.contains(&Allow::HostWide)) {
        return Some(why);
    }
    let problem = fault.check(&declared).into_iter().next()?;
    if declared.is_mount_point {
        return Some(problem);
    }
    let problem = problem.split("\n\nhint:").next().unwrap_or_default().to_owned();
    let points = mounts.keys().map(String::as_str);
    let hint = suggest(path, points).unwrap_or_else(|| format!("nothing is mounted in `{name}`"));
    Some(format!("{problem}\n\nhint: of the mounts of `{name}`, {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing,
        runtime::{ContainerMount, OwnFilesystem},
    };

    fn listed(name: &str, id: &str, labels: &[(&str, &str)]) -> Listed {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Listed {
            id: id.into(),
            name: name.into(),
            running: true,
            project: Some("shop".into()),
            labels: labels.collect(),
            ..Listed::default()
        }
    }

    fn shop() -> Vec<Listed> {
        vec![
            listed("shop-db-1", "aa11aa11aa11aa11", &[(SERVICE, "db"), ("tier", "data")]),
            listed("shop-web-1", "ab22", &[(SERVICE, "web"), ("tier", "front")]),
            listed("shop-web-2", "ac33", &[(SERVICE, "web"), ("tier", "front")]),
            Listed { ours: true, ..listed("keelhaul-r1-db", "ad44", &[("tier", "data")]) },
        ]
    }

    fn found(attach: &str) -> Result<String, String> {
        let attach = serde_saphyr::from_str(attach).unwrap();
        let (all, service) = (shop(), "s");
        find(service, &attach, &all).map(|one| one.name.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_found_by_name_id_label_or_compose_service() {
        for attach in [
            "{ container: shop-db-1 }",
            "{ container: /shop-db-1 }",
            "{ container: aa11aa11aa11 }",
            "{ label: tier=data }",
            "{ project: shop, service: db }",
        ] {
            assert_eq!(found(attach).as_deref(), Ok("shop-db-1"), "{attach}");
        }
    }

    #[test]
    fn none_or_several_are_refused_with_what_is_there() {
        for (attach, says) in [
            ("{ container: shop-bd-1 }", "did you mean `shop-db-1`?"),
            ("{ container: aa11aa11aa1 }", "no container is there"),
            ("{ label: tier=fornt }", "did you mean `tier=front`?"),
            ("{ label: tier }", "several containers"),
            ("{ project: shop, service: wbe }", "did you mean `web`?"),
            ("{ project: shp, service: web }", "did you mean `shop`?"),
            ("{ project: shop, service: web }", "`shop-web-1`, `shop-web-2`"),
            ("{ container: keelhaul-r1-db }", "belongs to a run"),
        ] {
            let why = found(attach).unwrap_err();
            assert!(why.contains(says), "{attach}: {why}");
        }
    }

    fn case(steps: &str) -> Case {
        let yaml = format!(
            "keelhaul: 1\nname: t\nallow: [attach]\nservices:\n  db: {{ attach: {{ container: x }} }}\n  twin: {{ attach: {{ container: y }} }}\n{steps}"
        );
        let files = [("t.yaml".into(), Ok(yaml.into_bytes()))];
        let loaded = crate::scenario::load_all(&files, &Default::default(), &Default::default());
        let loaded = loaded.unwrap_or_else(|all| panic!("{}", crate::diagnostic::render(&all)));
        crate::plan::expand(&loaded, &Default::default(), 7).unwrap().remove(0)
    }

    fn facts() -> ContainerFacts {
        let mount = |destination: &str, kind: &str, source: &str, volume: &str| ContainerMount {
            destination: destination.into(),
            kind: kind.into(),
            source: source.into(),
            volume: volume.into(),
            writable: true,
            own: None,
        };
        let mounts = vec![
            mount("/data", "volume", "/var/lib/docker/volumes/pg/_data", "pg"),
            mount("/run", "tmpfs", "", ""),
            mount("/odd", "npipe", "", ""),
        ];
        ContainerFacts { name: "shop-db-1".into(), mounts, ..testing::container() }
    }

    #[test]
    fn its_mounts_become_the_services_and_are_known_as_theirs() {
        let mut case = case("steps: [{ inject: { read-only: { target: 'db:/data' } } }]\n");
        case.attach("db", facts()).unwrap();
        case.fits_attached().unwrap();
        let mounts = &case.scenario.services["db"].mounts;
        let volumes: Vec<_> = mounts.values().map(|mount| mount.volume.as_str()).collect();
        assert_eq!(volumes, ["pg (theirs)", "db:/run (theirs)"]);
        assert!(volumes.iter().all(|name| Case::is_theirs(name)));
        let twice = case.attach("twin", facts()).unwrap_err().to_string();
        assert!(twice.contains("`twin` and `db` are both container `shop-db-1`"), "{twice}");
        let gone = ContainerFacts { goes_when_ended: true, id: "c3".into(), ..facts() };
        let gone = case.attach("twin", gone).unwrap_err().to_string();
        assert!(gone.contains("(`--rm`)"), "{gone}");
        let down = ContainerFacts { state: State::Exited, id: "c2".into(), ..facts() };
        let down = case.attach("twin", down).unwrap_err().to_string();
        assert!(down.contains("does not run: it is exited"), "{down}");
    }

    #[test]
    fn a_volume_with_its_own_filesystem_is_filled_unless_another_container_has_it() {
        let unfit = |twin: bool| {
            let mut case = case("steps: [{ inject: { disk-full: { target: 'db:/data' } } }]\n");
            let mut db = facts();
            let shared_with = vec!["shop-web-1".into()];
            db.mounts[0].own = Some(OwnFilesystem { fs_type: "ext4".into(), shared_with });
            case.attach("db", db).unwrap();
            if twin {
                let (id, name) = ("c2".into(), "shop-web-1".into());
                case.attach("twin", ContainerFacts { id, name, ..facts() }).unwrap();
            }
            case.fits_attached().map_err(|error| error.to_string())
        };
        let why = unfit(false).unwrap_err();
        assert!(why.contains("container `shop-web-1` has volume `pg` too"), "{why}");
        assert_eq!(unfit(true), Ok(()), "both are attached to");
    }

    #[test]
    fn faults_that_do_not_fit_what_is_mounted_are_refused_before_anything_runs() {
        let unfit = |fault: &str, facts: ContainerFacts| {
            let mut case = case(&format!("steps: [{{ inject: {{ {fault} }} }}]\n"));
            case.attach("db", facts).unwrap();
            case.fits_attached().map_err(|error| error.to_string())
        };
        let why = unfit("read-only: { target: 'db:/dta' }", facts()).unwrap_err();
        assert!(why.contains("did you mean `/data`?"), "{why}");
        let why = unfit("mode: { target: 'db:/etc/passwd', mode: '0600' }", facts()).unwrap_err();
        assert!(why.contains("the container's own layer"), "{why}");
        assert_eq!(unfit("mode: { target: 'db:/data', mode: '0700' }", facts()), Ok(()));
        let mut on_host = facts();
        on_host.mounts[0].kind = "bind".into();
        on_host.mounts[0].source = "/srv/pg".into();
        for fault in
            ["mode: { target: 'db:/data', mode: '0700' }", "lost-mount: { target: 'db:/data' }"]
        {
            let why = unfit(fault, on_host.clone()).unwrap_err();
            assert!(why.contains("of the host"), "{why}");
        }
    }
}

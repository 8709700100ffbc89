//! A container as the lines of a scenario that make one like it. Pure.

use std::fmt::Write as _;

use super::{Over, free, secrets::Secrets, yaml};
use crate::{
    runtime::{Choices, ChosenMount, ChosenSource, Ulimit},
    units::Size,
};

/// A container that is to be copied.
pub struct Original<'a> {
    /// Name of the copy's service.
    pub name: &'a str,
    /// What was chosen for it.
    pub choices: &'a Choices,
    /// What its image says of the environment already.
    pub inherited: &'a [String],
    /// No registry has its image, as far as the engine knows.
    pub only_here: bool,
    /// What is at a path of the host.
    pub on_host: &'a dyn Fn(&str) -> OnHost,
}

/// What is at a path of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHost {
    /// A directory, or nothing yet.
    Directory,
    /// A file.
    File,
    /// A socket, a device, a pipe, or a way to an engine's socket: nothing for a copy.
    Special,
}

/// A mount of the copy.
struct Copied {
    /// The volume's kind.
    volume: String,
    read_only: bool,
    /// It is the host's own file or directory.
    of_host: bool,
}

impl Original<'_> {
    /// The `volumes` and `services` of a copy, with this volume in place of the one of that name.
    #[must_use]
    pub fn copy(&self, over: Over<'_>) -> String {
        let secrets = Secrets::of(self.choices);
        let mut text = self.volumes(over);
        // writing to a string cannot fail
        let _ = writeln!(text, "services:\n  {}:", self.name);
        let _ = writeln!(text, "    image: {}", yaml::text(&self.choices.image));
        let pull = if self.only_here {
            "never # no registry is known to have it: build or load it wherever this runs"
        } else {
            "missing"
        };
        let _ = writeln!(text, "    pull: {pull}");
        let (entrypoint, command) = (&self.choices.entrypoint, &self.choices.command);
        for (key, words) in [("entrypoint", entrypoint), ("command", command)] {
            if !words.is_empty() {
                let _ = writeln!(text, "    {key}: {}", yaml::list(&secrets.hidden_in(words)));
            }
        }
        self.environment(&mut text, &secrets);
        limits(&mut text, self.choices, &secrets);
        self.mounts(&mut text);
        text
    }

    /// A file or directory of the host is mounted as it is where it is only read.
    #[must_use]
    pub fn reads_host(&self) -> bool {
        self.choices.mounts.iter().filter_map(|mount| self.copied(mount)).any(|it| it.of_host)
    }

    fn volumes(&self, over: Over<'_>) -> String {
        let mut text = String::new();
        for mount in &self.choices.mounts {
            let Some(Copied { volume, .. }) = self.copied(mount) else { continue };
            let own = self.volume_name(mount);
            let over = over.filter(|(name, _)| *name == own).map(|(_, over)| over.to_owned());
            let _ = writeln!(text, "  {own}: {}", over.unwrap_or(volume));
        }
        if text.is_empty() { text } else { format!("volumes:\n{text}") }
    }

    fn environment(&self, text: &mut String, secrets: &Secrets) {
        let own = self.choices.env.iter().filter(|pair| !self.inherited.contains(pair));
        let own: Vec<(&str, &str)> = own.filter_map(|pair| pair.split_once('=')).collect();
        if own.is_empty() {
            return;
        }
        let _ = writeln!(text, "    env:");
        for (key, value) in own {
            let shown = secrets.hidden_of(key, value);
            let remark = if shown == value { "" } else { " # stands in for yours" };
            let _ = writeln!(text, "      {}: {}{remark}", yaml::text(key), yaml::text(&shown));
        }
    }

    /// `PATH: VOLUME`, or with the option that it is read-only; and what a copy does not get.
    fn mounts(&self, text: &mut String) {
        let mut mounts = Vec::new();
        for mount in &self.choices.mounts {
            let (path, name) = (yaml::text(&mount.destination), self.volume_name(mount));
            match self.copied(mount) {
                Some(copied) if copied.read_only => {
                    mounts.push(format!("{path}: {{ volume: {name}, read_only: true }}"));
                }
                Some(_) => mounts.push(format!("{path}: {name}")),
                None => {
                    let what = yaml::text(&mount.words());
                    let _ = writeln!(text, "    # left out at {path}, as it is no copy's: {what}");
                }
            }
        }
        if !mounts.is_empty() {
            let _ = writeln!(text, "    mounts: {{ {} }}", mounts.join(", "));
        }
    }

    fn volume_name(&self, mount: &ChosenMount) -> String {
        let all = names(&self.choices.mounts);
        let at = self.choices.mounts.iter().position(|one| one.destination == mount.destination);
        at.and_then(|at| all.get(at).cloned()).unwrap_or_default()
    }

    /// The run's own and empty where the container may write a directory; none where a copy has no
    /// business.
    fn copied(&self, mount: &ChosenMount) -> Option<Copied> {
        let own = |volume: &str| Copied {
            volume: volume.to_owned(),
            read_only: !mount.writable,
            of_host: false,
        };
        match &mount.source {
            ChosenSource::Bind(path) => match (self.on_host)(path) {
                OnHost::Special => None,
                _ if mount.reaches_engine() => None,
                OnHost::Directory if mount.writable => Some(own("{ docker: {} }")),
                // no directory can be mounted over a file
                OnHost::Directory | OnHost::File => {
                    let volume = format!("{{ bind: {{ path: {} }} }}", yaml::text(path));
                    Some(Copied { volume, read_only: true, of_host: true })
                }
            },
            ChosenSource::Volume(_) => Some(own("{ docker: {} }")),
            ChosenSource::Tmpfs(size) => Some(match size.as_deref().and_then(bytes) {
                Some(bytes) => own(&format!("{{ tmpfs: {{ size: {} }} }}", Size(bytes))),
                None => own("{ tmpfs: {} }"),
            }),
            ChosenSource::Other(_) => None,
        }
    }
}

fn limits(text: &mut String, choices: &Choices, secrets: &Secrets) {
    if !choices.user.is_empty() {
        let _ = writeln!(text, "    user: {}", yaml::text(&choices.user));
    }
    if let Some(name) = &choices.hostname {
        let _ = writeln!(text, "    hostname: {}", yaml::text(name));
    }
    if !choices.working_dir.is_empty() {
        let _ = writeln!(text, "    working_dir: {}", yaml::text(&choices.working_dir));
    }
    if !choices.ulimits.is_empty() {
        let limit = |(name, limit): (&String, &Ulimit)| {
            let Ulimit { soft, hard } = limit;
            format!("{}: {{ soft: {soft}, hard: {hard} }}", yaml::text(name))
        };
        let limits: Vec<String> = choices.ulimits.iter().map(limit).collect();
        let _ = writeln!(text, "    ulimits: {{ {} }}", limits.join(", "));
    }
    if let Some(memory) = choices.memory {
        let _ = writeln!(text, "    memory: {}", Size(memory));
    }
    let restart = serde_json::to_value(choices.restart).unwrap_or_default();
    let _ = writeln!(text, "    restart: {restart}");
    if let Some(attempts) = choices.restart_attempts {
        let _ = writeln!(text, "    restart_attempts: {attempts}");
    }
    if let Some(check) = &choices.health {
        let shown = secrets.hidden_in(check);
        let remark = if shown == *check { "" } else { " # a password stands in for yours" };
        let command = yaml::list(&shown);
        let _ = writeln!(text, "    healthcheck: {{ command: {command}, timeout: 5s }}{remark}");
    }
}

/// `64m` or `65536`, as mount options have it.
fn bytes(size: &str) -> Option<u64> {
    let end = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let shift = match size[end..].to_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    size[..end].parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A name from the path: the volume's own may be none that a scenario can have.
fn name_of(path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words.filter(|it| !it.is_empty()).map(str::to_lowercase).collect();
    if words.is_empty() { "root".into() } else { words.join("-") }
}

/// Names for the paths in their order, each once: `/a-b` and `/a/b` are two volumes.
fn names(mounts: &[ChosenMount]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for mount in mounts {
        let taken = |name: &str| names.iter().any(|other| other == name);
        let name = free(&name_of(&mount.destination), taken);
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &str, destination: &str, writable: bool) -> ChosenMount {
        let source = ChosenSource::Bind(path.into());
        ChosenMount { destination: destination.into(), source, writable }
    }

    fn original<'a>(choices: &'a Choices, on_host: &'a dyn Fn(&str) -> OnHost) -> Original<'a> {
        Original { name: "shop", choices, inherited: &[], only_here: false, on_host }
    }

    #[test]
    fn what_a_registry_has_is_pulled_where_it_is_missing() {
        let (choices, on_host) = (Choices::default(), |_: &str| OnHost::Directory);
        let known = original(&choices, &on_host);
        assert!(known.copy(None).contains("    pull: missing\n"));
        let built = Original { only_here: true, ..known };
        assert!(built.copy(None).contains("    pull: never # "));
    }

    #[test]
    fn a_copy_gets_no_way_to_the_engine_and_writes_nothing_of_the_host() {
        let choices = Choices {
            image: "shop".into(),
            env: vec!["DB_PASS=s3cret".into()],
            health: Some(vec!["check".into(), "s3cret".into()]),
            mounts: vec![
                bind("/var/run/docker.sock", "/engine", false),
                bind("/run", "/host-run", false),
                bind("/srv/app.sock", "/app.sock", true),
                bind("/srv/app.conf", "/app.conf", true),
                bind("/srv/data", "/data", true),
                bind("/srv/html", "/html", false),
            ],
            ..Choices::default()
        };
        let on_host = |path: &str| match path.rsplit('.').next() {
            Some("sock") => OnHost::Special,
            Some("conf") => OnHost::File,
            _ => OnHost::Directory,
        };
        let original = original(&choices, &on_host);
        let text = original.copy(None);
        let expected = [
            "  app-conf: { bind: { path: /srv/app.conf } }",
            "  data: { docker: {} }",
            "    # left out at /engine, as it is no copy's: \"the host's `/var/run/docker.sock`\"",
            "    # left out at /host-run, as it is no copy's: \"the host's `/run`\"",
            "/app.conf: { volume: app-conf, read_only: true }",
            "/data: data,",
            "      DB_PASS: keelhaul-starter # stands in for yours",
            "    healthcheck: { command: [check, keelhaul-starter], timeout: 5s }",
        ];
        for line in expected {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("s3cret") && !text.contains("path: /var/run"), "{text}");
        assert!(original.reads_host());
    }

    #[test]
    fn paths_that_read_alike_are_two_volumes_and_limits_are_copied() {
        let choices = Choices {
            mounts: ["/a-b", "/a/b", "/a/b/2", "/"].map(|at| bind("/srv", at, true)).into(),
            hostname: Some("db-0".into()),
            working_dir: "/srv".into(),
            ulimits: [("nofile".to_owned(), Ulimit { soft: 9, hard: 10 })].into(),
            restart: crate::runtime::RestartPolicy::OnFailure,
            restart_attempts: Some(3),
            ..Choices::default()
        };
        assert_eq!(names(&choices.mounts), ["a-b", "a-b-2", "a-b-2-2", "root"]);
        let deep = ["/srv/one", "/srv/two"].map(|at| format!("{at}{}/data", "/deep".repeat(20)));
        let deep = names(&deep.map(|at| bind("/srv", &at, true)));
        assert!(deep.iter().all(|name| name.len() <= 63) && deep[0] != deep[1], "{deep:?}");
        let on_host = |_: &str| OnHost::Directory;
        let text = original(&choices, &on_host).copy(None);
        for line in [
            "/a-b: a-b, /a/b: a-b-2",
            "    hostname: db-0\n    working_dir: /srv\n",
            "    ulimits: { nofile: { soft: 9, hard: 10 } }",
            "    restart: \"on-failure\"\n    restart_attempts: 3\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}

//! What the engine in memory does with each call: states, pids, names that are taken.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::{BoxFuture, ready};

use super::{FakeContainer, FakeRuntime, World};
use crate::{
    protocol::EngineOp,
    runtime::{
        ContainerFacts, ContainerMount, ContainerNetwork, ContainerSpec, EngineFacts, ExecOutput,
        Health, ImageRef, MemoryLimit, MountSource, MountSpec, NetworkSpec, ObjectKind, ObjectRef,
        Printed, Result, Runtime, RuntimeError, State, VolumeSpec, labels,
    },
};

impl Runtime for FakeRuntime {
    fn engine(&self) -> BoxFuture<'_, Result<EngineFacts>> {
        let answer = self.world().called("engine", "").map(|()| EngineFacts {
            address: "fake://".to_owned(),
            version: "0".to_owned(),
            api_version: "1.41".to_owned(),
            os: "none".to_owned(),
            kernel: "0".to_owned(),
            storage_driver: "none".to_owned(),
            data_root: "/nowhere".to_owned(),
            d_type: None,
            cgroup_version: "2".to_owned(),
            security: Vec::new(),
        });
        Box::pin(ready(answer))
    }

    fn ensure_image<'a>(&'a self, image: &'a ImageRef) -> BoxFuture<'a, Result<String>> {
        let called = self.world().called("ensure-image", &image.name);
        Box::pin(ready(called.map(|()| format!("sha256:{}", image.name))))
    }

    fn create_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<String>> {
        let mut world = self.world();
        let answer = world.called("create-network", &spec.name).map(|()| {
            world.networks.push(spec.clone());
            format!("id-{}", spec.name)
        });
        Box::pin(ready(answer))
    }

    fn create_volume<'a>(&'a self, spec: &'a VolumeSpec) -> BoxFuture<'a, Result<()>> {
        let mut world = self.world();
        let answer =
            world.called("create-volume", &spec.name).map(|()| world.volumes.push(spec.clone()));
        Box::pin(ready(answer))
    }

    fn volume_directory<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(ready(Ok(format!("/var/lib/volumes/{name}"))))
    }

    fn create_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<String>> {
        Box::pin(ready(self.world().create(spec)))
    }

    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<ContainerFacts>> {
        let mut world = self.world();
        let called = world.called("inspect", container);
        Box::pin(ready(called.and_then(|()| Ok(world.find(container)?.facts.clone()))))
    }

    fn labels<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        let mut world = self.world();
        Box::pin(ready(world.find(container).map(|found| found.spec.labels.clone())))
    }

    fn logs<'a>(
        &'a self,
        container: &'a str,
        _since: i64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>>> {
        let mut world = self.world();
        let called = world.called("logs", container);
        let answer = called.and_then(|()| {
            let pieces = world.find(container)?.log.iter();
            let log: Vec<u8> = pieces.flat_map(|piece| piece.bytes.clone()).collect();
            Ok(log[log.len().saturating_sub(limit)..].to_vec())
        });
        Box::pin(ready(answer))
    }

    fn printed<'a>(
        &'a self,
        container: &'a str,
        _since: i64,
        _limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Printed>>> {
        let mut world = self.world();
        let called = world.called("logs", container);
        Box::pin(ready(called.and_then(|()| Ok(world.find(container)?.log.clone()))))
    }

    fn exec<'a>(
        &'a self,
        container: &'a str,
        command: &'a [String],
        _timeout: Duration,
    ) -> BoxFuture<'a, Result<ExecOutput>> {
        Box::pin(ready(self.world().exec(container, command)))
    }

    fn image_holds<'a>(
        &'a self,
        _run: &'a str,
        image: &'a str,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>>> {
        let called = self.world().called("image-holds", image);
        Box::pin(ready(called.map(|()| vec![false; paths.len()])))
    }

    fn perform<'a>(&'a self, op: &'a EngineOp) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(self.world().perform(op)))
    }

    fn objects<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<Vec<ObjectRef>>> {
        let mut world = self.world();
        let called = world.called("objects", run);
        Box::pin(ready(called.map(|()| world.objects(run))))
    }
}

impl World {
    fn create(&mut self, spec: &ContainerSpec) -> Result<String> {
        self.called("create-container", &spec.name)?;
        if self.containers.iter().any(|one| one.facts.name == spec.name) {
            return Err(RuntimeError::Conflict {
                what: format!("container name `{}`", spec.name),
                detail: "there is one".to_owned(),
            });
        }
        let id = format!("id-{}", spec.name);
        let facts = ContainerFacts {
            id: id.clone(),
            name: spec.name.clone(),
            state: State::Created,
            pid: 0,
            exit_code: 0,
            oom_killed: false,
            restarts: 0,
            started_at: String::new(),
            health: Health::None,
            checked: None,
            next_check_ms: None,
            goes_when_ended: false,
            restart: spec.restart,
            restart_attempts: spec.restart_attempts,
            stop_grace_ms: spec.stop_grace.map(|seconds| seconds * 1000),
            memory: spec.memory.map(limit),
            image: spec.image.clone(),
            mounts: spec.mounts.iter().map(mount).collect(),
            networks: spec.network.iter().map(|id| network(id, &spec.aliases)).collect(),
        };
        self.containers.push(FakeContainer { spec: spec.clone(), facts, log: Vec::new() });
        Ok(id)
    }

    fn exec(&mut self, container: &str, command: &[String]) -> Result<ExecOutput> {
        self.called("exec", container)?;
        let found = self.find(container)?;
        if found.facts.state != State::Running {
            return Err(refused("running a program", "is not running"));
        }
        let name = found.facts.name.clone();
        let program = command.first().map_or("", String::as_str);
        let scripted =
            self.programs.iter().rev().find(|(one, word, _)| *one == name && word == program);
        let nothing = ExecOutput { exit_code: 0, stdout: String::new(), stderr: String::new() };
        Ok(scripted.map_or(nothing, |(_, _, output)| output.clone()))
    }

    fn perform(&mut self, op: &EngineOp) -> Result<()> {
        match op {
            EngineOp::Start { container } => {
                self.called("start", container)?;
                if matches!(self.find(container)?.facts.state, State::Running | State::Paused) {
                    return Ok(());
                }
                self.start(container)
            }
            EngineOp::Stop { container, .. } => {
                self.called("stop", container)?;
                self.end(container, 0)
            }
            EngineOp::Restart { container, .. } => {
                self.called("restart", container)?;
                self.end(container, 0)?;
                self.start(container)
            }
            EngineOp::Recreate { container, .. } | EngineOp::ReplaceVolume { container, .. } => {
                self.called("recreate", container)?;
                self.recreate(container, None)
            }
            EngineOp::RunFromCommit { container, .. } => {
                self.called("run-from-commit", container)?;
                self.recreate(container, Some("sha256:committed"))
            }
            EngineOp::Kill { container, .. } => {
                self.called("kill", container)?;
                if self.find(container)?.facts.state != State::Running {
                    return Err(refused("killing", "is not running"));
                }
                self.end(container, 137)
            }
            EngineOp::Pause { container } => {
                self.called("pause", container)?;
                self.turn(container, State::Running, State::Paused)
            }
            EngineOp::Unpause { container } => {
                self.called("unpause", container)?;
                self.find(container)?;
                let _ = self.turn(container, State::Paused, State::Running);
                Ok(())
            }
            EngineOp::Remove { container } => {
                self.called("remove", container)?;
                self.containers.retain(|one| one.facts.id != *container);
                Ok(())
            }
            EngineOp::RemoveRun { run } => {
                self.called("remove-run", run)?;
                self.remove(run);
                Ok(())
            }
            changed => self.change(changed),
        }
    }

    /// Changes what a container has, not whether it runs.
    fn change(&mut self, op: &EngineOp) -> Result<()> {
        match op {
            EngineOp::LimitMemory { container, memory, with_swap } => {
                self.called("limit-memory", container)?;
                let limit = MemoryLimit { memory: *memory, with_swap: *with_swap };
                self.find(container)?.facts.memory = Some(limit);
                Ok(())
            }
            EngineOp::Disconnect { container, network } => {
                self.called("disconnect", container)?;
                self.find(container)?.facts.networks.retain(|one| one.id != *network);
                Ok(())
            }
            EngineOp::Connect { container, network: id, aliases } => {
                self.called("connect", container)?;
                let networks = &mut self.find(container)?.facts.networks;
                networks.retain(|one| one.id != *id);
                networks.push(network(id, aliases));
                Ok(())
            }
            other => Err(refused("changing", &format!("is no matter of {other:?}"))),
        }
    }

    /// A new pid and start time with every start.
    fn start(&mut self, container: &str) -> Result<()> {
        self.starts += 1;
        let starts = self.starts;
        let found = self.find(container)?;
        found.facts.state = State::Running;
        found.facts.pid = 1000 + starts;
        found.facts.started_at = format!("2020-01-01T00:00:00.{starts:09}Z");
        found.facts.health =
            if found.spec.health.is_some() { Health::Healthy } else { Health::None };
        Ok(())
    }

    /// Makes a container anew, of the same or another image.
    fn recreate(&mut self, container: &str, image: Option<&str>) -> Result<()> {
        let mut spec = self.find(container)?.spec.clone();
        spec.image = image.map_or(spec.image, str::to_owned);
        self.containers.retain(|one| one.facts.id != *container && one.facts.name != *container);
        let id = self.create(&spec)?;
        self.start(&id)
    }

    fn end(&mut self, container: &str, exit_code: i64) -> Result<()> {
        let facts = &mut self.find(container)?.facts;
        (facts.state, facts.pid, facts.exit_code) = (State::Exited, 0, exit_code);
        Ok(())
    }

    fn turn(&mut self, container: &str, from: State, to: State) -> Result<()> {
        let facts = &mut self.find(container)?.facts;
        if facts.state != from {
            return Err(refused("changing its state", "is in another state"));
        }
        facts.state = to;
        Ok(())
    }

    fn remove(&mut self, run: &str) {
        let goes = |found: &BTreeMap<String, String>| {
            let role = found.get(labels::ROLE).map(String::as_str);
            found.get(labels::RUN).is_some_and(|one| one == run)
                && ![Some(labels::ROLE_HELPER), Some(labels::ROLE_JOURNAL)].contains(&role)
        };
        self.containers.retain(|one| !goes(&one.spec.labels));
        self.networks.retain(|one| !goes(&one.labels));
        self.volumes.retain(|one| !goes(&one.labels));
    }

    fn objects(&self, run: &str) -> Vec<ObjectRef> {
        use ObjectKind::{Container, Network, Volume};
        let containers = self
            .containers
            .iter()
            .map(|one| (Container, one.facts.id.clone(), &one.facts.name, &one.spec.labels));
        let networks = self
            .networks
            .iter()
            .map(|one| (Network, format!("id-{}", one.name), &one.name, &one.labels));
        let volumes =
            self.volumes.iter().map(|one| (Volume, one.name.clone(), &one.name, &one.labels));
        let label = |found: &BTreeMap<String, String>, key: &str| {
            found.get(key).cloned().unwrap_or_default()
        };
        let mut objects: Vec<_> = containers
            .chain(networks)
            .chain(volumes)
            .map(|(kind, id, name, found)| ObjectRef {
                kind,
                id,
                name: name.clone(),
                run: label(found, labels::RUN),
                role: label(found, labels::ROLE),
            })
            .filter(|object| object.run == run)
            .collect();
        objects.sort();
        objects
    }
}

fn network(id: &str, aliases: &[String]) -> ContainerNetwork {
    ContainerNetwork {
        id: id.to_owned(),
        name: id.trim_start_matches("id-").to_owned(),
        address: "10.0.0.2".to_owned(),
        gateway: "10.0.0.1".to_owned(),
        aliases: aliases.to_vec(),
    }
}

fn mount(spec: &MountSpec) -> ContainerMount {
    let (kind, source, volume) = match &spec.source {
        MountSource::Volume { name, .. } => ("volume", format!("/volumes/{name}"), name.clone()),
        MountSource::Bind { path } => ("bind", path.clone(), String::new()),
        MountSource::Tmpfs { .. } => ("tmpfs", String::new(), String::new()),
    };
    ContainerMount {
        destination: spec.target.clone(),
        kind: kind.to_owned(),
        source,
        volume,
        writable: !spec.read_only,
        own: None,
    }
}

fn limit(memory: u64) -> MemoryLimit {
    MemoryLimit { memory, with_swap: i64::try_from(memory).unwrap_or(i64::MAX) }
}

fn refused(doing: &str, detail: &str) -> RuntimeError {
    RuntimeError::Refused { doing: doing.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> ContainerSpec {
        ContainerSpec {
            name: name.to_owned(),
            labels: labels::of("r1", labels::ROLE_SUBJECT, "s"),
            ..ContainerSpec::default()
        }
    }

    #[tokio::test]
    async fn it_behaves_like_an_engine() {
        let fake = FakeRuntime::default();
        let id = fake.create_container(&spec("web")).await.unwrap();
        let taken = fake.create_container(&spec("web")).await;
        assert!(matches!(taken, Err(RuntimeError::Conflict { .. })));
        fake.perform(&EngineOp::Start { container: id.clone() }).await.unwrap();
        let first = fake.inspect("web").await.unwrap();
        fake.perform(&EngineOp::Restart { container: id.clone(), grace_ms: 0 }).await.unwrap();
        let second = fake.inspect(&id).await.unwrap();
        assert!(first.started_at != second.started_at && first.pid != second.pid);
        fake.perform(&EngineOp::Kill { container: id.clone(), signal: "SIGKILL".into() })
            .await
            .unwrap();
        assert_eq!(fake.inspect(&id).await.unwrap().exit_code, 137);
        fake.perform(&EngineOp::RemoveRun { run: "r2".into() }).await.unwrap();
        assert_eq!(fake.objects("r1").await.unwrap().len(), 1);
        fake.perform(&EngineOp::RemoveRun { run: "r1".into() }).await.unwrap();
        assert_eq!(fake.objects("r1").await.unwrap(), []);
        assert!(matches!(fake.inspect(&id).await, Err(RuntimeError::Gone { .. })));
    }

    #[tokio::test]
    async fn it_does_what_the_script_says() {
        let fake = FakeRuntime::default();
        fake.fail("start web", 1, refused("starting", "no"));
        let id = fake.create_container(&spec("web")).await.unwrap();
        let start = EngineOp::Start { container: id.clone() };
        assert!(fake.perform(&start).await.is_err());
        fake.perform(&start).await.unwrap();
        let output = ExecOutput { exit_code: 3, stdout: "x".into(), stderr: String::new() };
        fake.answer("web", "/check", output.clone());
        let exec = fake.exec(&id, &["/check".to_owned()], Duration::ZERO).await;
        assert_eq!(exec, Ok(output));
        fake.print("web", b"hello");
        assert_eq!(fake.logs(&id, 0, 2).await.unwrap(), b"lo");
        fake.change("web", |facts| facts.oom_killed = true);
        assert!(fake.inspect(&id).await.unwrap().oom_killed);
        assert_eq!(fake.spec("web"), Some(spec("web")));
        fake.lose("web");
        assert!(fake.inspect(&id).await.is_err());
        assert_eq!(
            fake.calls(),
            [
                "create-container web",
                "start web",
                "start web",
                "exec web",
                "logs web",
                "inspect web",
                "inspect web"
            ]
        );
    }
}

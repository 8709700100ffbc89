//! A keeper in a container of our own image, on a volume of the run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{HelperError, Result},
    launch::{Connection, Launcher},
};
use crate::{
    failpoint,
    runtime::{
        Docker, HELPER_CAPABILITIES, HelperSpec, ImageRef, OWN_IMAGE, ObjectKind, ObjectRef,
        PullPolicy, RUN_DIRECTORY, Runtime, RuntimeError, VolumeSpec, labels,
    },
};

/// Environment of the command line that the helper gets too.
const PASSED_ON: [&str; 2] = ["KEELHAUL_LOG", failpoint::VARIABLES[1]];
/// How long a container may take to go after its keeper has ended.
const GOING: Duration = Duration::from_secs(10);
/// How long the removal of a container that does not answer may take.
const REMOVAL: Duration = Duration::from_secs(10);

/// Starts keepers as containers.
#[derive(Debug)]
pub struct ContainerLauncher {
    docker: Arc<Docker>,
    run: String,
    image: String,
    host_dir: String,
    count: AtomicU32,
    container: Mutex<Option<String>>,
}

/// Name of a run's own volume.
pub(in crate::helper) fn volume_name(run: &str) -> String {
    format!("keelhaul-{run}")
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(in crate::helper) fn refused(error: RuntimeError) -> HelperError {
    HelperError::Refused(error.to_string())
}

impl ContainerLauncher {
    /// For a new run: makes its volume.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn prepare(docker: Arc<Docker>, run: &str) -> Result<Self> {
        let launcher = Self::on(docker, run).await?;
        let spec = VolumeSpec {
            name: volume_name(run),
            driver: "local".into(),
            options: BTreeMap::new(),
            labels: labels::of(run, labels::ROLE_JOURNAL, ""),
        };
        launcher.docker.create_volume(&spec).await.map_err(refused)?;
        Ok(launcher)
    }

    /// For a run whose volume is there.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn on(docker: Arc<Docker>, run: &str) -> Result<Self> {
        let own = ImageRef { name: OWN_IMAGE.into(), pull: PullPolicy::Never };
        let (image, facts) = tokio::join!(docker.ensure_image(&own), docker.engine());
        let (image, facts) = (image.map_err(refused)?, facts.map_err(refused)?);
        // where the local driver keeps a volume (moby, volume/local)
        let host_dir = format!("{}/volumes/{}/_data", facts.data_root, volume_name(run));
        let run = run.to_owned();
        let (count, container) = (AtomicU32::new(0), Mutex::new(None));
        Ok(Self { docker, run, image, host_dir, count, container })
    }

    async fn spawn(&self, replay: bool) -> Result<Connection> {
        let spec = self.spec(replay);
        let container = self.docker.create_helper(&spec).await.map_err(refused)?;
        *self.container.lock().await = Some(container.clone());
        let attached = self.docker.attach(&container).await.map_err(refused)?;
        self.docker.start(&container).await.map_err(refused)?;
        let mut lines = attached.stderr;
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                tracing::debug!(target: "keelhaul::helper", "{line}");
            }
        });
        Ok(Connection { input: Box::new(attached.stdin), output: Box::new(attached.stdout) })
    }

    fn spec(&self, replay: bool) -> HelperSpec {
        // a name of its own each time: the one before may still be going
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let nonce = std::process::id();
        let mut command: Vec<String> =
            ["helper", RUN_DIRECTORY, &self.host_dir, &self.run].map(str::to_owned).into();
        let mut passed: Vec<&str> = PASSED_ON.to_vec();
        if replay {
            command.push("--replay".into());
        }
        // its successors are spared the kill points, or none would ever finish an undo
        if count == 0 {
            passed.push(failpoint::VARIABLES[0]);
        }
        let env = passed
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        HelperSpec {
            name: format!("keelhaul-{}-helper-{nonce}-{count}", self.run),
            image: self.image.clone(),
            command,
            env: env.collect(),
            labels: labels::of(&self.run, labels::ROLE_HELPER, ""),
            volume: volume_name(&self.run),
            mounts: Vec::new(),
            capabilities: HELPER_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    async fn kill(&self) {
        if let Some(id) = self.container.lock().await.take() {
            let removal = remove_container(&self.docker, &self.run, id);
            if !matches!(timeout(REMOVAL, removal).await, Ok(Ok(()))) {
                tracing::warn!("the helper's container could not be removed yet");
            }
        }
    }

    async fn clear(&self) -> Result<()> {
        if let Some(id) = self.container.lock().await.take() {
            await_end(&self.docker, &id).await;
            remove_container(&self.docker, &self.run, id).await?;
        }
        // one whose creation was not answered has an id that we were never told
        for object in self.own().await?.iter().filter(|one| one.role == labels::ROLE_HELPER) {
            self.docker.remove(object).await.map_err(refused)?;
        }
        remove_volume(&self.docker, &self.run).await?;
        match self.own().await?.first() {
            None => Ok(()),
            Some(object) => {
                Err(HelperError::Refused(format!("`{}` of the helper is left", object.name)))
            }
        }
    }

    /// What the engine has of the helper itself.
    async fn own(&self) -> Result<Vec<ObjectRef>> {
        let mut objects = self.docker.objects(&self.run).await.map_err(refused)?;
        let ours = [labels::ROLE_HELPER, labels::ROLE_JOURNAL];
        objects.retain(|object| ours.contains(&object.role.as_str()));
        Ok(objects)
    }
}

/// Waits, for a bounded time, until a container has removed itself.
async fn await_end(docker: &Docker, id: &str) {
    let end = Instant::now() + GOING;
    while Instant::now() < end {
        if let Err(RuntimeError::Gone { .. }) = docker.inspect(id).await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Removes a container, running or not.
pub(in crate::helper) async fn remove_container(
    docker: &Docker,
    run: &str,
    id: String,
) -> Result<()> {
    let object = ObjectRef {
        kind: ObjectKind::Container,
        name: id.clone(),
        id,
        run: run.to_owned(),
        role: labels::ROLE_HELPER.into(),
    };
    docker.remove(&object).await.map_err(refused)
}

/// Removes a run's own volume: the last of its objects. Somebody else may have it just now, to see
/// whether something is to be undone; the removal waits for that, as for any object in use.
pub(in crate::helper) async fn remove_volume(docker: &Docker, run: &str) -> Result<()> {
    let name = volume_name(run);
    let object = ObjectRef {
        kind: ObjectKind::Volume,
        id: name.clone(),
        name,
        run: run.to_owned(),
        role: labels::ROLE_JOURNAL.into(),
    };
    docker.remove(&object).await.map_err(refused)
}

impl Launcher for ContainerLauncher {
    fn run(&self) -> &str {
        &self.run
    }

    fn launch(&self, replay: bool) -> BoxFuture<'_, Result<Connection>> {
        Box::pin(self.spawn(replay))
    }

    fn dispose(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.kill())
    }

    fn mark_kept(&self) -> BoxFuture<'_, Result<()>> {
        let spec = VolumeSpec {
            name: format!("{}-kept", volume_name(&self.run)),
            driver: "local".into(),
            options: BTreeMap::new(),
            labels: labels::of(&self.run, labels::ROLE_KEPT, ""),
        };
        Box::pin(async move { self.docker.create_volume(&spec).await.map_err(refused) })
    }

    fn await_end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(id) = self.container.lock().await.take() {
                await_end(&self.docker, &id).await;
            }
        })
    }

    fn remove(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.clear())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scripted::{self, ScriptedEngine};

    #[tokio::test]
    async fn a_volume_that_somebody_else_looks_at_is_waited_for() {
        let looks = AtomicU32::new(2);
        let engine = ScriptedEngine::start(move |asked| {
            let less = |left: u32| left.checked_sub(1);
            if asked == "DELETE /volumes/keelhaul-r"
                && looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
            {
                return scripted::refuse(409, "remove keelhaul-r: volume is in use - [0123]");
            }
            Some((204, String::new()))
        });
        remove_volume(&engine.client(), "r").await.unwrap();
        assert_eq!(engine.asked("DELETE /volumes/keelhaul-r").len(), 3);
    }

    #[tokio::test]
    async fn a_volume_that_cannot_be_removed_is_not_tried_again() {
        let engine = ScriptedEngine::start(|_| scripted::refuse(500, "permission denied"));
        let refused = remove_volume(&engine.client(), "r").await.unwrap_err();
        assert!(refused.to_string().contains("permission denied"), "{refused}");
        assert_eq!(engine.asked("DELETE").len(), 1);
    }
}

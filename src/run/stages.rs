//! Stages on a real engine: each slot gets a helper of its own, started once and kept for all its
//! cases.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{BoxFuture, FutureExt as _, Shared};

use super::suite::{OpenStage, Stages, Unopened};
use crate::{
    helper::{HelperLink, client::Helper},
    plan::needs::Missing,
    protocol::{HostFacts, Read, Reading},
    runtime::{Docker, EngineFacts, ObjectKind, Runtime, labels},
};

/// Opens a helper per slot on one engine.
pub struct DockerStages {
    docker: Arc<Docker>,
    engine: EngineFacts,
    run: String,
    opened: std::sync::atomic::AtomicUsize,
    /// By slot, until there is a stage.
    openings: Mutex<BTreeMap<usize, Opening>>,
    journals: Option<PathBuf>,
}

/// A helper on its way. It starts in a task of its own: cut off half-way, its container could come
/// into being after everybody has looked.
#[derive(Clone)]
struct Opening {
    run: String,
    helper: Shared<BoxFuture<'static, Result<Helper, String>>>,
}

impl DockerStages {
    /// Stages of a run on this engine.
    #[must_use]
    pub fn new(docker: Arc<Docker>, engine: EngineFacts, run: String) -> Self {
        let opened = std::sync::atomic::AtomicUsize::new(0);
        Self { docker, engine, run, opened, openings: Mutex::default(), journals: None }
    }

    /// Copies each helper's journal into this directory when it ends: `journal-<slot>.jsonl`.
    #[must_use]
    pub fn with_journals(mut self, directory: &Path) -> Self {
        self.journals = Some(directory.to_owned());
        self
    }

    /// Starts a helper, asks it what this host can do, and ends it.
    ///
    /// # Errors
    /// In words, when the helper cannot be started or does not answer.
    pub async fn look(&self) -> Result<(HostFacts, Missing), String> {
        let helper = self.begin().helper.await?;
        let found = self.facts(&helper).await;
        let ended = helper.finish().await.map_err(|error| error.to_string());
        found.and_then(|found| ended.map(|()| found))
    }

    async fn start(&self, slot: usize) -> Result<OpenStage, String> {
        let opening = self.begin();
        self.openings().insert(slot, opening.clone());
        let Opening { run, helper } = opening;
        let helper = Arc::new(helper.await?);
        let (_, missing) = self.facts(&helper).await?;
        self.openings().remove(&slot);
        let closing = Closing {
            helper: Arc::clone(&helper),
            docker: Arc::clone(&self.docker),
            run: run.clone(),
            // one file per label: `k7f3a9-0` gives `journal-0.jsonl`
            journal: self.journals.as_ref().map(|directory| {
                directory.join(format!("journal-{}.jsonl", run.rsplit('-').next().unwrap_or("0")))
            }),
        };
        Ok(OpenStage {
            run,
            runtime: Arc::clone(&self.docker) as _,
            helper,
            missing,
            close: Box::new(move |keep| Box::pin(closing.close(keep))),
        })
    }

    fn begin(&self) -> Opening {
        // a slot that lost its helper opens another under a new label: the old one is being undone
        let number = self.opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let run = format!("{}-{number}", self.run);
        let (docker, label) = (Arc::clone(&self.docker), run.clone());
        let start = tokio::spawn(async move { Helper::start(docker, &label).await });
        let helper = async move {
            let started = start.await.map_err(|error| error.to_string())?;
            started.map_err(|error| error.to_string())
        };
        Opening { run, helper: helper.boxed().shared() }
    }

    fn openings(&self) -> MutexGuard<'_, BTreeMap<usize, Opening>> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn facts(&self, helper: &Helper) -> Result<(HostFacts, Missing), String> {
        match helper.read(Read::Host).await {
            Ok(Reading::Host(host)) => {
                let missing = Missing::on(&host, &self.engine, has_tool);
                Ok((*host, missing))
            }
            Ok(other) => Err(format!("the helper answered out of turn: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Opening {
    /// Ends the helper if it came to be, and looks for what is left if not.
    async fn end(self, docker: Arc<Docker>) -> Result<(), String> {
        if let Ok(helper) = self.helper.await {
            return helper.finish().await.map_err(|error| error.to_string());
        }
        let left = docker.objects(&self.run).await.map_err(|error| error.to_string())?;
        match left.iter().find(|object| object.kind != ObjectKind::Image) {
            None => Ok(()),
            Some(object) => Err(format!("`{}` of the helper is left", object.name)),
        }
    }
}

/// What the end of a stage needs.
struct Closing {
    helper: Arc<Helper>,
    docker: Arc<Docker>,
    run: String,
    journal: Option<PathBuf>,
}

impl Closing {
    async fn close(self, keep: bool) -> Result<(), String> {
        self.copy_journal().await;
        if keep && self.has_something_to_keep().await {
            match self.helper.keep().await {
                Ok(()) => return Ok(()),
                // a lost run is being undone whatever was asked for
                Err(error) => tracing::warn!(%error, "the run cannot be kept"),
            }
            self.helper.rollback().await.map_err(|error| error.to_string())?;
        }
        let Err(why) = self.helper.finish().await else { return Ok(()) };
        // what was on its way to the keeper when everything was undone, or left by one that was lost
        let ended = match self.helper.rollback().await {
            Ok(_) => self.helper.finish().await,
            Err(_) => Err(why),
        };
        ended.map_err(|error| error.to_string())
    }

    /// Best effort: a copy that is missing must not stop the end of a run.
    async fn copy_journal(&self) {
        let Some(path) = &self.journal else { return };
        let copied = match self.helper.journal().await {
            Ok(lines) => fs::write(path, lines).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = copied {
            tracing::warn!(%error, path = %path.display(), "the journal could not be copied");
        }
    }

    async fn has_something_to_keep(&self) -> bool {
        let ours = [labels::ROLE_HELPER, labels::ROLE_JOURNAL];
        let objects = self.docker.objects(&self.run).await.unwrap_or_default();
        objects.iter().any(|object| !ours.contains(&object.role.as_str()))
    }
}

impl Stages for DockerStages {
    fn open(&self, slot: usize) -> BoxFuture<'_, Result<OpenStage, String>> {
        Box::pin(self.start(slot))
    }

    fn unopened(&self, slot: usize) -> Option<Unopened> {
        let opening = self.openings().remove(&slot)?;
        let run = opening.run.clone();
        Some(Unopened { run, end: Box::pin(opening.end(Arc::clone(&self.docker))) })
    }
}

/// Whether a program is on the path of this process, or where distributions keep `mkfs`.
#[must_use]
pub fn has_tool(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(Into::into);
    env::split_paths(&path).chain(usual).any(|directory| Path::new(&directory).join(name).is_file())
}

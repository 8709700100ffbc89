//! From the name of a container to a subject.

use std::{
    collections::BTreeMap,
    future::{Future, IntoFuture},
    path::{Path, PathBuf},
    pin::Pin,
};

use super::{
    Error, SERVICE, Subject, locate,
    session::{Session, Wanted},
};
use crate::{
    plan::Case,
    run::attached,
    runtime::{self, Docker},
};

/// Attaches to a container that runs already, by its name or id, when it is awaited.
///
/// ```
/// use keelhaul::testing::{Error, attach};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // nothing is asked of an engine as long as our own binary is not there
/// let refused = attach("my-database").program("/not/there/keelhaul").await;
/// assert!(matches!(refused, Err(Error::Program(_))));
/// # }
/// ```
///
/// # Errors
/// When our binary is missing or another, no engine answers, or no such container runs.
pub fn attach(container: impl Into<String>) -> Attach {
    Attach { container: container.into(), program: None, reports: None }
}

/// How to attach; await it.
#[derive(Debug, Clone)]
#[must_use = "nothing is attached to until this is awaited"]
pub struct Attach {
    container: String,
    program: Option<PathBuf>,
    reports: Option<PathBuf>,
}

impl Attach {
    /// Our binary, where it is not found by itself. One process can use one only.
    pub fn program(mut self, path: impl AsRef<Path>) -> Self {
        self.program = Some(path.as_ref().to_owned());
        self
    }

    /// Writes the events as they happen, and in the end JUnit and HTML, into a new directory below
    /// this one.
    pub fn reports(mut self, directory: impl AsRef<Path>) -> Self {
        self.reports = Some(directory.as_ref().to_owned());
        self
    }

    async fn open(self) -> Result<Subject, Error> {
        let program = self.program.map_or_else(locate::find, Ok)?;
        let taken = tokio::task::spawn_blocking(move || runtime::take_program(&program)).await;
        taken.map_err(|error| Error::Invalid(error.to_string()))??;
        let wanted = Wanted { container: self.container, reports: self.reports };
        Ok(Subject::of(Session::open(wanted).await?))
    }
}

impl IntoFuture for Attach {
    type Output = Result<Subject, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// A case of this one container: no steps, no steady state; what is done to it is done by hand.
///
/// # Errors
/// When no engine answers, or no such container runs.
pub(super) async fn case(docker: &Docker, container: &str) -> Result<Case, Error> {
    let scenario = serde_json::json!({
        "keelhaul": 1,
        "name": NAME,
        "allow": ["attach"],
        "services": { SERVICE: { "attach": { "container": container } } },
    });
    let unread = |error: serde_json::Error| Error::Invalid(error.to_string());
    let mut cases = [Case {
        id: NAME.to_owned(),
        suite: NAME.to_owned(),
        scenario: serde_json::from_value(scenario).map_err(unread)?,
        file: PathBuf::from(NAME),
        cell: Vec::new(),
        shapes: BTreeMap::new(),
        control: None,
        repeat: 0,
        seed: SEED,
        attached: BTreeMap::new(),
        secrets: Vec::new(),
        sets: Vec::new(),
        fingerprint: String::new(),
        run_seed: SEED,
    }];
    attached::attach(docker, &mut cases).await.map_err(|error| Error::NotAttached {
        container: container.to_owned(),
        why: error.to_string(),
    })?;
    let [case] = cases;
    Ok(case)
}

/// Name of the case.
const NAME: &str = "attached";

/// The same decisions in every run of a test.
const SEED: u64 = 1;

//! Where containers live: the only place that knows bollard.
//!
//! The runner speaks to the [`Runtime`] trait; `docker` is the real one, `fake` serves the runner's
//! own unit tests and never stands in for proof that a fault works.

mod choices;
mod docker;
mod facts;
#[cfg(test)]
pub(crate) mod fake;
pub mod labels;
mod spec;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use crate::protocol::EngineOp;
pub use choices::{
    Choices, ChosenMount, ChosenSource, Hidden, ImageFacts, Listed, Owned, reaches_engine,
};
#[cfg(test)]
pub(crate) use docker::scripted;
pub use docker::{
    AGENT_ID, ApiVersion, Attached, DEFAULT_SOCKET, Docker, ENGINE_DATA, ENGINE_HOST, ENGINE_IMAGE,
    ENGINE_PATH, ENGINE_PORT, ENGINE_SOCKET, HOST_DEVICES, LINKED_FILES, MINIMUM_API, OWN_IMAGE,
    Output, PROGRAM, ProgramError, ProgramFacts, RUN_DIRECTORY, SPECIMEN_IMAGE, VolumeBeneath,
    build_hash, program, take_program,
};
pub use facts::{
    Checked, ContainerFacts, ContainerMount, ContainerNetwork, EngineFacts, ExecOutput, Health,
    MemoryLimit, ObjectKind, ObjectRef, OwnFilesystem, Printed, State,
};
pub use spec::{
    ContainerSpec, ENGINE_CAPABILITIES, HELPER_CAPABILITIES, HealthCheck, HelperSpec, ImageRef,
    MountSource, MountSpec, NetworkSpec, PullPolicy, Relabel, RestartPolicy, ShellSpec, Ulimit,
    VolumeSpec,
};

/// Types of filesystems that a volume may bring along, for itself alone.
pub const OWN_FILESYSTEMS: [&str; 4] = ["btrfs", "ext4", "tmpfs", "xfs"];

/// What a call to the engine came to.
pub type Result<T> = std::result::Result<T, RuntimeError>;

/// Why the engine did not do what it was asked to.
///
/// Each variant is a message that users meet; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// Nothing listens.
    #[error(
        "no container engine answers at `{address}`\n\nhint: start it (`systemctl start docker`), or set DOCKER_HOST to where it listens"
    )]
    NoEngine {
        /// Where we asked.
        address: String,
    },
    /// Something else listens: it knows nothing of what every engine knows.
    #[error(
        "what answers at `{address}` is no container engine\n\nhint: set DOCKER_HOST to where the engine listens"
    )]
    NotAnEngine {
        /// Where we asked.
        address: String,
    },
    /// An address that we cannot speak to.
    #[error(
        "cannot use the engine at `{address}`: {detail}\n\nhint: forward the engine's socket to a local one, and set DOCKER_HOST=unix://PATH"
    )]
    Address {
        /// Where we were to ask.
        address: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The socket refuses us.
    #[error(
        "no permission to use the engine's socket `{address}`\n\nhint: join the socket's group (usually `docker`) and log in again, or run as root"
    )]
    Permission {
        /// Where we asked.
        address: String,
    },
    /// The engine's API is older than what we need.
    #[error(
        "the engine speaks API {found}, and keelhaul needs {needed} or newer\n\nhint: upgrade the engine to Docker 20.10 or newer"
    )]
    TooOld {
        /// What it speaks.
        found: String,
        /// What we need.
        needed: &'static str,
    },
    /// The image is not there.
    #[error(
        "image `{image}` is not present\n\nhint: build or pull it first, or set `pull: missing` on the service"
    )]
    ImageMissing {
        /// Its name.
        image: String,
    },
    /// The image is not there, and cannot be had.
    #[error(
        "image `{image}` is not on this engine, and cannot be pulled: {detail}\n\nhint: build or load it there, as with `docker build -t {image} .`, or correct its name"
    )]
    NotPulled {
        /// Its name.
        image: String,
        /// What the engine says of the pull.
        detail: String,
    },
    /// A name or a port is taken.
    #[error(
        "{what} is already in use: {detail}\n\nhint: `keelhaul recover --list` shows what earlier runs left"
    )]
    Conflict {
        /// What is taken.
        what: String,
        /// The engine's words.
        detail: String,
    },
    /// The object is gone.
    #[error("{what} `{name}` does not exist any more: was it removed by someone else?")]
    Gone {
        /// Container, volume, …
        what: &'static str,
        /// Its name or id.
        name: String,
    },
    /// The engine counts an endpoint whose container is gone.
    #[error(
        "network `{network}` cannot be removed: {detail}\n\nhint: the engine has lost track of an endpoint; restart the engine, which forgets it, and run `keelhaul recover` again"
    )]
    LeakedEndpoint {
        /// Name of the network.
        network: String,
        /// The engine's words.
        detail: String,
    },
    /// The engine's disk is full.
    #[error(
        "the engine's disk is full: {detail}\n\nhint: free space under the engine's data root; `docker system df` shows what uses it"
    )]
    EngineDiskFull {
        /// The engine's words.
        detail: String,
    },
    /// The engine did not answer in time; it hangs on targets in D state.
    #[error("the engine did not answer within {seconds} s while {doing}")]
    Timeout {
        /// How long we waited.
        seconds: u64,
        /// What we asked for.
        doing: String,
    },
    /// Anything else, in the engine's words.
    #[error("the engine refused while {doing}: {detail}")]
    Refused {
        /// What we asked for.
        doing: String,
        /// The engine's words.
        detail: String,
    },
}

/// A container engine.
pub trait Runtime: Send + Sync {
    /// What the engine is. The first call of every run: says clearly when nothing answers.
    fn engine(&self) -> BoxFuture<'_, Result<EngineFacts>>;
    /// Makes sure that an image is there, by its pull policy; returns its id (`sha256:…`).
    fn ensure_image<'a>(&'a self, image: &'a ImageRef) -> BoxFuture<'a, Result<String>>;
    /// Creates a labelled network; returns its id.
    fn create_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<String>>;
    /// Creates a labelled volume.
    fn create_volume<'a>(&'a self, spec: &'a VolumeSpec) -> BoxFuture<'a, Result<()>>;
    /// Where a volume's files are on the engine's host.
    fn volume_directory<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String>>;
    /// Creates a labelled container; returns its id.
    fn create_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<String>>;
    /// Looks at a container.
    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<ContainerFacts>>;
    /// The labels of a container.
    fn labels<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>>;
    /// The container's output since a Unix time in nanoseconds of our clock, both streams interleaved,
    /// bounded to the last `limit` bytes.
    fn logs<'a>(
        &'a self,
        container: &'a str,
        since: i64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>>>;
    /// The same, with when each line was printed.
    fn printed<'a>(
        &'a self,
        container: &'a str,
        since: i64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Printed>>>;
    /// Runs a program in a container.
    fn exec<'a>(
        &'a self,
        container: &'a str,
        command: &'a [String],
        timeout: std::time::Duration,
    ) -> BoxFuture<'a, Result<ExecOutput>>;
    /// Which of these paths are in an image, without any volume. Leaves nothing behind.
    fn image_holds<'a>(
        &'a self,
        run: &'a str,
        image: &'a str,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>>>;
    /// Performs an engine op. Idempotent where the op says so.
    fn perform<'a>(&'a self, op: &'a EngineOp) -> BoxFuture<'a, Result<()>>;
    /// Every object that carries this run's label, the helper and its volume included.
    fn objects<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<Vec<ObjectRef>>>;
}

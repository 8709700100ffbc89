//! The real container engine, spoken to through bollard. Nothing outside this directory imports it.
//!
//! Every call runs under a timeout, and every refusal becomes the [`RuntimeError`] that a user can
//! act on. No call carries an API version: what an engine lacks is asked for only when its
//! `api_version` has it.

mod address;
mod alone;
mod attach;
mod call;
mod choices;
mod clock;
mod commit;
mod containers;
mod engine;
mod error;
mod exec;
mod helper;
mod image_holds;
mod images;
mod inner_engine;
mod inspect;
mod layer;
mod lifecycle;
mod logs;
mod network;
mod objects;
mod peek;
mod program;
mod recreate;
mod remove;
mod replace_volume;
#[cfg(test)]
pub(crate) mod scripted;
mod shell;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::{
    ContainerFacts, ContainerSpec, EngineFacts, ExecOutput, ImageRef, NetworkSpec, ObjectRef,
    Printed, Result, Runtime, VolumeSpec,
};
use crate::protocol::EngineOp;
use address::Address;
pub use address::DEFAULT_SOCKET;
pub use attach::{Attached, Output};
pub use engine::ApiVersion;
use engine::Version;
pub use helper::{ENGINE_SOCKET, HOST_DEVICES, RUN_DIRECTORY};
pub use images::{ENGINE_IMAGE, OWN_IMAGE, SPECIMEN_IMAGE};
pub use inner_engine::{ENGINE_DATA, ENGINE_HOST, ENGINE_PATH, ENGINE_PORT};
pub use layer::{AGENT_ID, LINKED_FILES, PROGRAM};
pub use objects::VolumeBeneath;
pub use program::{ProgramError, ProgramFacts, build_hash, program, take_program};

/// The oldest API with all that we need: Docker 19.03.
pub const MINIMUM_API: &str = "1.40";

/// A Docker engine. Cheap to clone; clones share what is known of the engine.
#[derive(Debug, Clone)]
pub struct Docker {
    client: bollard::Docker,
    address: Address,
    /// Asked for once.
    version: Arc<OnceCell<Version>>,
    /// How far its clock is ahead of ours; asked for once.
    ahead_ns: Arc<OnceCell<i64>>,
}

impl Runtime for Docker {
    fn engine(&self) -> BoxFuture<'_, Result<EngineFacts>> {
        Box::pin(self.engine_facts())
    }

    fn ensure_image<'a>(&'a self, image: &'a ImageRef) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.image_id(image))
    }

    fn create_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.new_network(spec))
    }

    fn create_volume<'a>(&'a self, spec: &'a VolumeSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.new_volume(spec))
    }

    fn volume_directory<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.directory_of(name))
    }

    fn create_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.new_container(spec))
    }

    fn inspect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<ContainerFacts>> {
        Box::pin(self.container_facts(container))
    }

    fn labels<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(self.labels_of(container))
    }

    fn logs<'a>(
        &'a self,
        container: &'a str,
        since: i64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.output_since(container, since, limit))
    }

    fn printed<'a>(
        &'a self,
        container: &'a str,
        since: i64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Printed>>> {
        Box::pin(self.printed_since(container, since, limit))
    }

    fn exec<'a>(
        &'a self,
        container: &'a str,
        command: &'a [String],
        timeout: Duration,
    ) -> BoxFuture<'a, Result<ExecOutput>> {
        Box::pin(self.run_program(container, command, timeout))
    }

    fn image_holds<'a>(
        &'a self,
        run: &'a str,
        image: &'a str,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(self.paths_in_image(run, image, paths))
    }

    fn perform<'a>(&'a self, op: &'a EngineOp) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.engine_op(op))
    }

    fn objects<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<Vec<ObjectRef>>> {
        Box::pin(self.objects_of(Some(run)))
    }
}

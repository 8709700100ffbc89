//! The world as an engine: what tests of faults ask it for, and refusals for everything else.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::BoxFuture;

use super::{Fake, ready};
use crate::{
    protocol::EngineOp,
    runtime::{
        ContainerFacts, ContainerSpec, EngineFacts, ExecOutput, ImageRef, NetworkSpec, ObjectRef,
        Printed, Result, Runtime, RuntimeError, VolumeSpec,
    },
};

/// Nothing under test asks for this.
fn unasked<T>(doing: &str) -> Result<T> {
    Err(RuntimeError::Refused { doing: doing.into(), detail: "the fake cannot".into() })
}

impl Runtime for Fake {
    fn engine(&self) -> BoxFuture<'_, Result<EngineFacts>> {
        ready(unasked("asking for the engine"))
    }

    fn ensure_image<'a>(&'a self, _: &'a ImageRef) -> BoxFuture<'a, Result<String>> {
        ready(unasked("pulling"))
    }

    fn create_network<'a>(&'a self, _: &'a NetworkSpec) -> BoxFuture<'a, Result<String>> {
        ready(unasked("creating a network"))
    }

    fn create_volume<'a>(&'a self, spec: &'a VolumeSpec) -> BoxFuture<'a, Result<()>> {
        self.world().volumes.push(spec.clone());
        ready(Ok(()))
    }

    fn volume_directory<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String>> {
        ready(Ok(format!("/var/lib/volumes/{name}")))
    }

    fn create_container<'a>(&'a self, _: &'a ContainerSpec) -> BoxFuture<'a, Result<String>> {
        ready(unasked("creating a container"))
    }

    fn inspect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ContainerFacts>> {
        ready(self.world().container.clone())
    }

    fn labels<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        ready(unasked("asking for labels"))
    }

    fn logs<'a>(&'a self, _: &'a str, _: i64, limit: usize) -> BoxFuture<'a, Result<Vec<u8>>> {
        let logs = self.world().logs.clone();
        let from = logs.len().saturating_sub(limit);
        ready(Ok(logs[from..].to_vec()))
    }

    fn printed<'a>(&'a self, _: &'a str, _: i64, _: usize) -> BoxFuture<'a, Result<Vec<Printed>>> {
        ready(unasked("asking when it printed what"))
    }

    fn exec<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
        _: Duration,
    ) -> BoxFuture<'a, Result<ExecOutput>> {
        ready(self.world().exec.clone())
    }

    fn image_holds<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>>> {
        let files = &self.world().files;
        ready(Ok(paths.iter().map(|path| files.contains_key(path)).collect()))
    }

    fn perform<'a>(&'a self, _: &'a EngineOp) -> BoxFuture<'a, Result<()>> {
        ready(Ok(()))
    }

    fn objects<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<ObjectRef>>> {
        ready(Ok(Vec::new()))
    }
}

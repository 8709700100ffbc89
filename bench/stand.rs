//! A test stand: one helper and one subject with a volume, made and removed through the library.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use keelhaul::{
    faults::{Cx, FaultSpec, Site, SiteVolume},
    helper::{
        HelperLink,
        client::{ContainerLauncher, Helper},
    },
    protocol::{EngineOp, Entry, Op, Place},
    runtime::{
        ContainerSpec, Docker, ImageRef, MountSpec, PROGRAM, PullPolicy, Runtime, SPECIMEN_IMAGE,
        VolumeSpec as EngineVolume, labels,
    },
    volumes::{Provision, VolumeSpec},
};

/// Where the volume is mounted in the subject.
pub(crate) const DATA: &str = "/data";

/// A running subject and its helper.
pub(crate) struct Stand {
    pub(crate) helper: Helper,
    pub(crate) site: Site,
    pub(crate) run: String,
    /// Id of our own image.
    pub(crate) image: String,
    docker: Arc<Docker>,
}

/// A label of our own for every stand: what a crash leaves is found by `keelhaul recover`.
pub(crate) fn run_id(what: &str) -> String {
    format!("bench-{what}-{}", std::process::id())
}

/// The image made from the running executable.
pub(crate) async fn own_image(docker: &Docker) -> anyhow::Result<String> {
    let image = ImageRef { name: SPECIMEN_IMAGE.into(), pull: PullPolicy::Never };
    Ok(docker.ensure_image(&image).await?)
}

/// The subject of the stands and of the bare calls.
pub(crate) fn subject(run: &str, image: &str, mounts: Vec<MountSpec>) -> ContainerSpec {
    ContainerSpec {
        name: format!("keelhaul-{run}-agent"),
        image: image.to_owned(),
        entrypoint: Some(vec![PROGRAM.to_owned(), "specimen".to_owned()]),
        mounts,
        aliases: vec!["agent".to_owned()],
        labels: labels::of(run, labels::ROLE_SUBJECT, ""),
        ..ContainerSpec::default()
    }
}

impl Stand {
    /// Starts a helper, and a subject with a volume of this kind.
    pub(crate) async fn open(
        docker: &Arc<Docker>,
        what: &str,
        volume: &str,
    ) -> anyhow::Result<Self> {
        let run = run_id(what);
        let image = own_image(docker).await?;
        let helper = Helper::start(Arc::clone(docker), &run).await?;
        let undo = vec![Op::Engine(EngineOp::RemoveRun { run: run.clone() })];
        let objects = Entry { what: "objects".into(), ops: Vec::new(), undo, expires_ms: None };
        helper.apply(objects).await?;
        match build(docker, &helper, &run, &image, volume).await {
            Ok(site) => Ok(Self { helper, site, run, image, docker: Arc::clone(docker) }),
            Err(error) => {
                close(docker, &run, &helper).await?;
                Err(error)
            }
        }
    }

    /// Prepares a fault as a run does.
    pub(crate) async fn entry(&self, fault: &str) -> anyhow::Result<Entry> {
        let fault: FaultSpec = serde_saphyr::from_str(fault)?;
        let cx = Cx {
            runtime: self.docker.as_ref(),
            helper: &self.helper,
            site: &self.site,
            run: &self.run,
            host_wide: false,
            attached: false,
            all_attached: &BTreeMap::new(),
            share: 1.0,
            first: None,
            seed: 7,
            kept: false,
            traced: false,
        };
        let prepared = fault.prepare(&cx).await?;
        let what = fault.name().to_owned();
        Ok(Entry { what, ops: prepared.ops, undo: prepared.undo, expires_ms: None })
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        close(&self.docker, &self.run, &self.helper).await
    }
}

/// The containers first: they hold what the rollback is to detach.
async fn close(docker: &Docker, run: &str, helper: &Helper) -> anyhow::Result<()> {
    docker.perform(&EngineOp::RemoveRun { run: run.to_owned() }).await?;
    let report = helper.rollback().await?;
    anyhow::ensure!(report.complete(), "the stand could not be removed: {report:?}");
    Ok(helper.finish().await?)
}

async fn build(
    docker: &Arc<Docker>,
    helper: &Helper,
    run: &str,
    image: &str,
    volume: &str,
) -> anyhow::Result<Site> {
    let spec: VolumeSpec = serde_saphyr::from_str(volume)?;
    let provision = Provision {
        runtime: docker.as_ref(),
        helper,
        name: "data",
        object: format!("keelhaul-{run}-data"),
        labels: labels::of(run, labels::ROLE_VOLUME, ""),
        rules: Vec::new(),
        traced: false,
        beneath: None,
    };
    let source = spec.provision(&provision).await?;
    let mount = MountSpec { target: DATA.into(), source, read_only: false, relabel: None };
    let container = docker.create_container(&subject(run, image, vec![mount])).await?;
    docker.start(&container).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let facts = docker.inspect(&container).await?;
    anyhow::ensure!(facts.pid > 0, "the subject ended at once");
    let mounted = facts.mounts.iter().find(|mount| mount.destination == DATA);
    let host_path = mounted.context("the volume is not mounted")?.source.clone();
    let host_path = (!host_path.is_empty()).then_some(host_path);
    let place = Place { container, pid: facts.pid, path: DATA.into(), host_path };
    let volume = SiteVolume { name: "data".into(), spec, mount_point: DATA.into() };
    Ok(Site { service: "agent".into(), place, volume: Some(volume), along: Vec::new() })
}

/// A helper whose journal lies in memory, so that its fsync costs nothing.
pub(crate) async fn helper_in_memory(docker: &Arc<Docker>, what: &str) -> anyhow::Result<Helper> {
    let run = run_id(what);
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=128m")];
    let options: BTreeMap<_, _> =
        options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let volume = EngineVolume {
        name: format!("keelhaul-{run}"),
        driver: "local".into(),
        options,
        labels: labels::of(&run, labels::ROLE_JOURNAL, ""),
    };
    docker.create_volume(&volume).await?;
    let launcher = ContainerLauncher::on(Arc::clone(docker), &run).await?;
    Ok(Helper::launch(Arc::new(launcher), Some(Arc::clone(docker) as _), false).await?)
}

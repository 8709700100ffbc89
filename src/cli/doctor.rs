//! `doctor`: what this host can and cannot do, and why, fault by fault.

use std::{fmt::Write, path::Path, sync::Arc};

use super::{args::DoctorArgs, output};
use crate::{
    catalog::{self, Family, Item},
    plan::needs::Missing,
    protocol::HostFacts,
    run::stages::DockerStages,
    runtime::{self, DEFAULT_SOCKET, Docker, EngineFacts, Runtime},
    verdict::ExitCode,
};

pub(super) async fn doctor(_: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let (docker, engine) = match answering().await {
        Ok(found) => found,
        Err(error) => {
            output::data(about_no_engine())?;
            return Err(error.into());
        }
    };
    output::data(about_engine(&engine))?;
    let stages = DockerStages::new(docker, engine.clone(), "doctor".into());
    let (host, missing) = stages.look().await.map_err(anyhow::Error::msg)?;
    output::data(about_host(&host))?;
    output::data(about_items(&missing))?;
    Ok(ExitCode::Pass)
}

async fn answering() -> runtime::Result<(Arc<Docker>, EngineFacts)> {
    let docker = Arc::new(Docker::connect(None)?);
    let engine = docker.engine().await?;
    Ok((docker, engine))
}

/// Where an engine was looked for, and what else there is on this host that may be one.
fn about_no_engine() -> String {
    let asked = match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => format!("{host}, as DOCKER_HOST says"),
        _ => format!("unix://{DEFAULT_SOCKET}, since DOCKER_HOST is not set"),
    };
    let runtime_dir = std::env::var("XDG_RUNTIME_DIR").unwrap_or_default();
    let others = [DEFAULT_SOCKET.to_owned(), format!("{runtime_dir}/docker.sock")];
    let sockets: Vec<_> = others.into_iter().filter(|path| Path::new(path).exists()).collect();
    let sockets = if sockets.is_empty() { "none".to_owned() } else { sockets.join(" ") };
    format!(
        "engine\n  {:<12} nothing\n  {:<12} {asked}\n  {:<12} {sockets}\n\n\
         the rest is the engine's host's to tell: what its kernel and its tools can do\n\n",
        "answers", "asked at", "sockets"
    )
}

fn about_engine(engine: &EngineFacts) -> String {
    let mut text = String::from("engine\n");
    let rows = [
        ("answers at", engine.address.clone()),
        ("version", format!("{} (API {})", engine.version, engine.api_version)),
        ("system", format!("{}, kernel {}", engine.os, engine.kernel)),
        ("storage", format!("{} at {}", engine.storage_driver, engine.data_root)),
        ("cgroups", format!("v{}", engine.cgroup_version)),
        ("security", engine.security.join(" ")),
    ];
    for (label, value) in rows {
        let _ = writeln!(text, "  {label:<12} {value}");
    }
    text
}

fn about_host(host: &HostFacts) -> String {
    let mut text = String::from("\nhelper\n");
    let _ = writeln!(text, "  {:<12} started, answered and ended", "container");
    let _ =
        writeln!(text, "  {:<12} {}", "capabilities", host.capabilities.join(" ").to_lowercase());
    let known = ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuse"];
    let present: Vec<_> =
        known.into_iter().filter(|name| host.filesystems.iter().any(|fs| fs == name)).collect();
    let _ = writeln!(text, "  {:<12} {}", "filesystems", present.join(" "));
    text
}

fn about_items(missing: &Missing) -> String {
    let mut text = String::new();
    for family in [Family::Fault, Family::Volume, Family::Probe] {
        let _ = writeln!(text, "\n{}", family.plural());
        for item in catalog::items().iter().filter(|item| item.family == family) {
            let _ = writeln!(text, "  {:<20} {}", item.name, verdict(item, missing));
        }
    }
    text
}

fn verdict(item: &Item, missing: &Missing) -> String {
    let lacking: Vec<_> = item
        .needs
        .iter()
        .filter_map(|need| Some(format!("{}: {}", need.name(), missing.reason(*need)?)))
        .collect();
    if lacking.is_empty() { "yes".into() } else { format!("no   {}", lacking.join("; ")) }
}

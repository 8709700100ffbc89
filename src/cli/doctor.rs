//! `doctor`: what this host can and cannot do, and why, fault by fault.

use std::{fmt::Write, path::Path, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    args::{AuditFormat, DoctorArgs},
    output,
};
use crate::{
    catalog::{self, Family, Item},
    plan::needs::Missing,
    protocol::{Capability, HostFacts, Ready},
    run::stages::DockerStages,
    runtime::{self, DEFAULT_SOCKET, Docker, EngineFacts, Runtime},
    verdict::ExitCode,
};

/// Version of the JSON.
const FORMAT: u32 = 1;
/// What needs something of the host.
const FAMILIES: [Family; 3] = [Family::Fault, Family::Volume, Family::Probe];

pub(super) async fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let human = args.format == AuditFormat::Human;
    let (docker, engine) = match answering().await {
        Ok(found) => found,
        Err(error) => {
            let (asked, sockets) = (asked(), sockets());
            output::data(if human {
                about_no_engine(&asked, &sockets)
            } else {
                let none = Value::Null;
                printed(
                    &json!({ "doctor": FORMAT, "engine": none, "asked": asked, "sockets": sockets }),
                )
            })?;
            return Err(error.into());
        }
    };
    // at once: the helper may not come
    if human {
        output::data(about_engine(&engine))?;
    }
    let stages = DockerStages::new(docker, engine.clone(), crate::run::new_run_id());
    let (host, missing) = stages.look().await.map_err(anyhow::Error::msg)?;
    output::data(if human {
        about_host(&host) + &about_capabilities(&missing) + &about_items(&missing)
    } else {
        printed(&whole(&engine, &host, &missing))
    })?;
    Ok(ExitCode::Pass)
}

async fn answering() -> runtime::Result<(Arc<Docker>, EngineFacts)> {
    let docker = Arc::new(Docker::connect(None)?);
    let engine = docker.engine().await?;
    Ok((docker, engine))
}

/// Where an engine was looked for.
fn asked() -> String {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => format!("{host}, as DOCKER_HOST says"),
        _ => format!("unix://{DEFAULT_SOCKET}, since DOCKER_HOST is not set"),
    }
}

/// What else there is on this host that may be an engine.
fn sockets() -> Vec<String> {
    let runtime_dir = std::env::var("XDG_RUNTIME_DIR").unwrap_or_default();
    let others = [DEFAULT_SOCKET.to_owned(), format!("{runtime_dir}/docker.sock")];
    others.into_iter().filter(|path| Path::new(path).exists()).collect()
}

fn about_no_engine(asked: &str, sockets: &[String]) -> String {
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
        ("d_type", d_type(engine).into()),
        ("cgroups", format!("v{}", engine.cgroup_version)),
        ("security", engine.security.join(" ")),
    ];
    for (label, value) in rows {
        let _ = writeln!(text, "  {label:<12} {value}");
    }
    text
}

fn d_type(engine: &EngineFacts) -> &'static str {
    match engine.d_type {
        Some(true) => "yes",
        Some(false) => {
            "no: refused, layers degrade there; use ext4, or XFS made with `mkfs.xfs -n ftype=1`"
        }
        None => "not told by this storage driver",
    }
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
    let nfs = nfs_client(host).map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
    let _ = writeln!(text, "  {:<12} {nfs}", "nfs client");
    // no fault needs it: where memory is short, a disk of ours is safer with it
    let steady = [("locked memory", &host.locked_memory), ("io flusher", &host.io_flusher)];
    for (what, ready) in steady {
        let said = match ready {
            Ready::Yes => "yes".to_owned(),
            Ready::No(why) => format!("no: {why}"),
        };
        let _ = writeln!(text, "  {what:<13} {said}");
    }
    text
}

/// Why a file server that hangs cannot be had on a real mount; none where it can.
fn nfs_client(host: &HostFacts) -> Option<String> {
    let is_nfs = |name: &String| name == "nfs" || name == "nfs4";
    (!host.filesystems.iter().any(is_nfs)).then(|| {
        "the kernel has none (CONFIG_NFS_FS), or has not loaded it (`modprobe nfs`): a file server that \
         hangs, as in `nfs-stall`, is played by `io-stall` at a volume with `interpose: file`"
            .to_owned()
    })
}

/// Every word that `needs` and `requires` have.
fn about_capabilities(missing: &Missing) -> String {
    let mut text = String::from("\ncapabilities\n");
    for capability in Capability::ALL {
        let there = match missing.reason(*capability) {
            None => "yes".to_owned(),
            Some(why) => format!("no   {why}"),
        };
        let _ = writeln!(text, "  {:<20} {there}", capability.name());
    }
    text
}

fn about_items(missing: &Missing) -> String {
    let mut text = String::new();
    for family in FAMILIES {
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

/// The same for machines.
fn whole(engine: &EngineFacts, host: &HostFacts, missing: &Missing) -> Value {
    let capability = |one: &Capability| {
        let why = missing.reason(*one);
        json!({ "name": one.name(), "there": why.is_none(), "reason": why })
    };
    let capabilities: Vec<Value> = Capability::ALL.iter().map(capability).collect();
    let mut whole = Map::new();
    whole.insert("doctor".into(), json!(FORMAT));
    whole.insert("engine".into(), json!(engine));
    whole.insert("host".into(), json!(host));
    let nfs = nfs_client(host);
    whole.insert("nfs_client".into(), json!({ "there": nfs.is_none(), "reason": nfs }));
    whole.insert("capabilities".into(), json!(capabilities));
    for family in FAMILIES {
        let items = catalog::items().into_iter().filter(|item| item.family == family);
        let items: Vec<Value> = items.map(|item| of_item(&item, missing)).collect();
        whole.insert(family.plural().into(), json!(items));
    }
    Value::Object(whole)
}

fn of_item(item: &Item, missing: &Missing) -> Value {
    let lacks = item.needs.iter().filter(|need| missing.reason(**need).is_some());
    let lacks: Vec<&str> = lacks.map(|need| need.name()).collect();
    json!({ "name": item.name, "works": lacks.is_empty(), "lacks": lacks })
}

fn printed(value: &Value) -> String {
    format!("{value:#}\n")
}

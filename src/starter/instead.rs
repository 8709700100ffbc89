//! What goes over a Compose file's own volumes and mounts, so that a copy writes nothing of the host
//! and has no way to its engine. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{OnHost, Over, yaml};
use crate::{runtime::reaches_engine, scenario::Scenario, volumes::VolumeSpec};

/// The run's own, and empty.
const EMPTY: &str = "{ docker: {} }";

/// Volumes and mounts of copies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Instead {
    /// Volumes that are empty, each with a remark.
    volumes: BTreeMap<String, &'static str>,
    /// Volumes that are only read, by service and path.
    read: BTreeMap<String, BTreeMap<String, String>>,
}

impl Instead {
    /// For every bind of the host: a directory that may be written is an empty volume, a file is
    /// only read, and in place of anything else there is nothing.
    #[must_use]
    pub fn of(scenario: &Scenario, on_host: &dyn Fn(&str) -> OnHost) -> Self {
        let mut instead = Self::default();
        for (service, of) in &scenario.services {
            for (path, mount) in &of.mounts {
                let volume = &mount.volume;
                let Some(source) = bind(scenario.volumes.get(volume)) else { continue };
                let kind = if reaches_engine(&source) { OnHost::Special } else { on_host(&source) };
                let remark = match kind {
                    OnHost::Special => Some(" # empty: what is there is no copy's"),
                    OnHost::Directory if !mount.read_only => Some(""),
                    OnHost::Directory | OnHost::File => None,
                };
                instead.volumes.extend(remark.map(|remark| (volume.clone(), remark)));
                if kind != OnHost::Directory {
                    let read = instead.read.entry(service.clone()).or_default();
                    read.insert(path.clone(), volume.clone());
                }
            }
        }
        instead
    }

    /// The sections that say so, with this volume in place of the one of that name.
    #[must_use]
    pub fn lines(&self, over: Over<'_>) -> String {
        let own = self.volumes.iter().map(|(name, remark)| (name.as_str(), (EMPTY, *remark)));
        let mut volumes: BTreeMap<&str, (&str, &str)> = own.collect();
        volumes.extend(over.map(|(name, spec)| (name, (spec, ""))));
        let mut text = String::new();
        if !volumes.is_empty() {
            text.push_str("volumes: # over those of the file\n");
        }
        for (name, (spec, remark)) in volumes {
            // writing to a string cannot fail
            let _ = writeln!(text, "  {name}: {spec}{remark}");
        }
        if !self.read.is_empty() {
            text.push_str("services: # over those of the file\n");
        }
        for (service, mounts) in &self.read {
            let _ = writeln!(text, "  {}:\n    mounts:", yaml::text(service));
            for (path, volume) in mounts {
                let path = yaml::text(path);
                let _ = writeln!(text, "      {path}: {{ volume: {volume}, read_only: true }}");
            }
        }
        text
    }
}

/// The path of a directory or file of the host.
fn bind(volume: Option<&VolumeSpec>) -> Option<String> {
    let fields = serde_json::to_value(volume?).ok()?;
    fields["bind"]["path"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{Beside, Env, Sets, load_beside};

    const SHOP: &str = "\
keelhaul: 1
name: shop
allow: [host-wide]
volumes:
  conf: { bind: { path: /srv/app.conf } }
  data: { bind: { path: /srv/data } }
  html: { bind: { path: /srv/html } }
  engine: { bind: { path: /run/docker.sock } }
services:
  app:
    image: shop
    mounts:
      /conf: conf
      /data: data
      /html: { volume: html, read_only: true }
      /engine: { volume: engine, read_only: true }
steps: [{ wait: 1ms }]
";

    #[test]
    fn nothing_of_the_host_is_written_and_no_engine_is_reached() {
        let source = ("shop.yaml".into(), Ok(SHOP.into()));
        let loaded = load_beside(&[source], &Sets::new(), &Env::new(), Beside::nothing());
        let scenario = loaded.unwrap().remove(0).cells.remove(0).scenario;
        let on_host = |path: &str| match Path::new(path).extension() {
            Some(_) => OnHost::File,
            None => OnHost::Directory,
        };
        let expected = "\
volumes: # over those of the file
  data: { docker: {} }
  engine: { docker: {} } # empty: what is there is no copy's
services: # over those of the file
  app:
    mounts:
      /conf: { volume: conf, read_only: true }
      /engine: { volume: engine, read_only: true }
";
        assert_eq!(Instead::of(&scenario, &on_host).lines(None), expected);
    }
}

//! What a scenario says of a Compose file: what it does without, and what goes over the file's own, so
//! that a copy writes nothing of the host and has no way to its engine. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{OnHost, Over, yaml};
use crate::{
    runtime::reaches_engine,
    scenario::{Scenario, Way},
    volumes::VolumeSpec,
};

/// The run's own, and empty.
const EMPTY: &str = "{ docker: {} }";
const EMPTIED: &str = "{ docker: {} } # empty: what is there is no copy's";

/// Volumes and mounts of copies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Instead {
    /// Keys that a run does not have, each behind its service.
    without: BTreeSet<(String, String)>,
    /// Volumes that are empty, each with a remark.
    volumes: BTreeMap<String, String>,
    /// Images of services that are built.
    images: BTreeMap<String, String>,
    /// Volumes that are only read, by service and path.
    read: BTreeMap<String, BTreeMap<String, String>>,
}

impl Instead {
    /// Goes on without something that a run does not have; false where it does already.
    pub fn take(&mut self, way: &Way) -> bool {
        match way.clone() {
            Way::Without(service, key) => self.without.insert((service, key)),
            Way::Volume(name, kind) => {
                self.volumes.insert(name, format!("{{ {kind}: {{}} }}")).is_none()
            }
            Way::Image(service, image) => self.images.insert(service, image).is_none(),
        }
    }

    /// For every bind of the host: a directory that may be written is an empty volume, a file is
    /// only read, and in place of anything else there is nothing.
    #[must_use]
    pub fn apart(mut self, scenario: &Scenario, on_host: &dyn Fn(&str) -> OnHost) -> Self {
        let instead = &mut self;
        for (service, of) in &scenario.services {
            for (path, mount) in &of.mounts {
                let volume = &mount.volume;
                let Some(source) = bind(scenario.volumes.get(volume)) else { continue };
                let kind = if reaches_engine(&source) { OnHost::Special } else { on_host(&source) };
                let own = match kind {
                    OnHost::Special => Some(EMPTIED),
                    OnHost::Directory if !mount.read_only => Some(EMPTY),
                    OnHost::Directory | OnHost::File => None,
                };
                instead.volumes.extend(own.map(|own| (volume.clone(), own.to_owned())));
                if kind != OnHost::Directory {
                    let read = instead.read.entry(service.clone()).or_default();
                    read.insert(path.clone(), volume.clone());
                }
            }
        }
        self
    }

    /// The sections that say so of this file, with this volume in place of the one of that name.
    #[must_use]
    pub fn head(&self, file: &str, over: Over<'_>) -> String {
        let own = self.volumes.iter().map(|(name, own)| (name.as_str(), own.as_str()));
        let mut volumes: BTreeMap<&str, &str> = own.collect();
        volumes.extend(over);
        let mut text = self.compose(file);
        if !volumes.is_empty() {
            text.push_str("volumes: # over those of the file\n");
        }
        for (name, spec) in volumes {
            // writing to a string cannot fail
            let _ = writeln!(text, "  {}: {spec}", yaml::text(name));
        }
        self.services(&mut text);
        text
    }

    fn compose(&self, file: &str) -> String {
        // JSON's quoting is YAML's
        let named = serde_json::Value::String(file.to_owned());
        if self.without.is_empty() {
            return format!("compose: {named}\n");
        }
        let mut text = format!("compose:\n  file: {named}\n  without: # a run does not have it\n");
        for (service, key) in &self.without {
            let _ = writeln!(text, "    - {}", yaml::text(&format!("{service}.{key}")));
        }
        text
    }

    fn services(&self, text: &mut String) {
        let names: BTreeSet<&String> = self.images.keys().chain(self.read.keys()).collect();
        if !names.is_empty() {
            text.push_str("services: # over those of the file\n");
        }
        for service in names {
            let _ = writeln!(text, "  {}:", yaml::text(service));
            if let Some(image) = self.images.get(service) {
                let _ = writeln!(text, "    image: {}", yaml::text(image));
            }
            let mounts = self.read.get(service);
            if mounts.is_some() {
                text.push_str("    mounts:\n");
            }
            for (path, volume) in mounts.into_iter().flatten() {
                let (path, volume) = (yaml::text(path), yaml::text(volume));
                let _ = writeln!(text, "      {path}: {{ volume: {volume}, read_only: true }}");
            }
        }
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
compose: \"../compose.yaml\"
volumes: # over those of the file
  data: { docker: {} }
  engine: { docker: {} } # empty: what is there is no copy's
services: # over those of the file
  app:
    mounts:
      /conf: { volume: conf, read_only: true }
      /engine: { volume: engine, read_only: true }
";
        let apart = Instead::default().apart(&scenario, &on_host);
        assert_eq!(apart.head("../compose.yaml", None), expected);
    }
}

//! A volume that a Compose file declares, as a run makes one like it. Pure.

use super::{build, values};
use crate::scenario::load::node::{Entry, Node, Value};

/// The driver whose volumes are directories of the engine's own.
const LOCAL: &str = "local";
/// The option by which even that driver mounts what lies elsewhere: a disk, a directory, a server's
/// export.
const DEVICE: &str = "device";

/// What makes it another's: it is there already, another driver keeps it, or an option says where.
pub(super) fn outside(volume: &Node) -> Option<&Entry> {
    let external = volume.entry("external").filter(|it| values::flag(&it.value) != Some(false));
    let driver = volume.entry("driver").filter(|it| !is_local(&it.value));
    let options = volume.get("driver_opts").map(Node::entries).unwrap_or_default();
    let device = options.iter().find(|option| option.key.eq_ignore_ascii_case(DEVICE));
    external.or(driver).or(device)
}

fn is_local(driver: &Node) -> bool {
    match build::word(driver) {
        Some(word) => word.is_empty() || word == LOCAL,
        None => driver.value == Value::Null,
    }
}

/// One of the engine's with its driver and options; plain, without either.
pub(super) fn docker(volume: &Node, no_copy: bool, plain: bool) -> Node {
    let span = volume.span;
    let mut out = Vec::new();
    let kept = |key: &str| volume.entry(key).filter(|_| !plain);
    if let Some(driver) = kept("driver").filter(|it| build::word(&it.value) == Some(LOCAL)) {
        out.push(driver.clone());
    }
    if let Some(options) = kept("driver_opts").map(|it| &it.value) {
        let texts = options.entries().iter().filter_map(|option| {
            let value = build::text(option.value.span, build::word(&option.value)?);
            Some(Entry { value, ..option.clone() })
        });
        let texts = texts.collect();
        out.push(build::entry("options", options.span, build::map(options.span, texts)));
    }
    if no_copy {
        out.push(build::entry("no_copy", span, build::flag(span, true)));
    }
    build::single("docker", build::map(span, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load::parse::parse;

    fn volume(text: &str) -> Node {
        parse(text).0.unwrap()
    }

    #[test]
    fn whatever_leads_to_the_user_s_storage_is_outside() {
        let found = |text: &str| outside(&volume(text)).map(|entry| entry.key.clone());
        for (text, key) in [
            ("external: true", "external"),
            ("external: { name: shop }", "external"),
            ("driver: rexray/ebs", "driver"),
            ("driver_opts: { type: nfs, o: addr=nas, device: ':/export' }", "device"),
            ("driver_opts: { device: /dev/sdb1 }", "device"),
            ("driver_opts: { type: none, o: bind, Device: /srv/data }", "Device"),
        ] {
            assert_eq!(found(text).as_deref(), Some(key), "{text}");
        }
        for text in ["driver: local", "external: 'false'", "driver_opts: { o: size=1g }"] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_plain_one_has_neither_driver_nor_options() {
        let nfs = volume("driver: nfs\ndriver_opts: { device: ':/export' }");
        assert_eq!(docker(&nfs, false, true).to_json(), serde_json::json!({ "docker": {} }));
        let sized = volume("driver: local\ndriver_opts: { o: size=1g }");
        let expected = serde_json::json!({ "driver": "local", "options": { "o": "size=1g" } });
        assert_eq!(
            docker(&sized, false, false).to_json(),
            serde_json::json!({ "docker": expected })
        );
    }
}

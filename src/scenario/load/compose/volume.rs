//! A volume that a Compose file declares, as a run makes one like it. Pure.

use super::{build, values};
use crate::{
    scenario::load::{
        node::{Entry, Node, Value},
        problem::Problem,
    },
    units::Size,
};

/// The driver whose volumes are directories of the engine's own.
const LOCAL: &str = "local";
/// The option by which even that driver mounts what lies elsewhere: a disk, a directory, a server's
/// export.
const DEVICE: &str = "device";

/// What makes it another's: it is there already, another driver keeps it, or an option says where.
pub(super) fn outside(volume: &Node) -> Option<&Entry> {
    let external =
        volume.entry(values::EXTERNAL).filter(|it| values::flag(&it.value) != Some(false));
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

/// `type: tmpfs, device: tmpfs` is memory: a volume of that kind, with its limits; none for any other.
pub(super) fn memory(volume: &Node) -> Option<Result<Node, Problem>> {
    // what the engine does anyway
    const IDLE: [&str; 6] = ["", "rw", "noexec", "nosuid", "nodev", "defaults"];
    let options = volume.get("driver_opts")?;
    let word = |key: &str| options.get(key).and_then(build::word);
    if (word("type"), word("device")) != (Some("tmpfs"), Some("tmpfs"))
        || outside_but_for_device(volume)
    {
        return None;
    }
    let mut limits = Vec::new();
    if let Some(given) = options.entry("o") {
        let span = given.value.span;
        let text = build::word(&given.value).unwrap_or_default();
        for option in text.split(',').filter(|option| !IDLE.contains(option)) {
            let limit = match option.split_once('=') {
                Some(("size", size)) => values::bytes(size)
                    .map(|bytes| ("size", build::text(span, &Size(bytes).to_string()))),
                Some(("nr_inodes", count)) => {
                    count.parse().ok().map(|count| ("inodes", build::number(span, count)))
                }
                Some(("mode", mode)) => {
                    let mode = format!("{:0>4}", mode.trim_start_matches('0'));
                    Some(("mode", build::text(span, &mode)))
                }
                _ => None,
            };
            let Some((key, value)) = limit else {
                let text = format!(
                    "the option `{option}` of a tmpfs has no counterpart in a run\n\nhint: `size`, `nr_inodes` and `mode` have"
                );
                return Some(Err(Problem::on(&given.value, text)));
            };
            limits.push(build::entry(key, span, value));
        }
    }
    Some(Ok(build::single("tmpfs", build::map(options.span, limits))))
}

fn outside_but_for_device(volume: &Node) -> bool {
    let external =
        volume.entry(values::EXTERNAL).is_some_and(|it| values::flag(&it.value) != Some(false));
    external || volume.entry("driver").is_some_and(|it| !is_local(&it.value))
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
    fn a_tmpfs_by_options_is_memory_with_its_limits() {
        let found = |text: &str| memory(&volume(text));
        let tmpfs =
            "driver_opts: { type: tmpfs, device: tmpfs, o: 'size=64m,mode=700,nr_inodes=9,nodev' }";
        let expected = serde_json::json!({ "size": "64MiB", "mode": "0700", "inodes": 9 });
        let made = found(tmpfs).unwrap().unwrap().to_json();
        assert_eq!(made, serde_json::json!({ "tmpfs": expected }));
        let plain = found("driver_opts: { type: tmpfs, device: tmpfs }").unwrap().unwrap();
        assert_eq!(plain.to_json(), serde_json::json!({ "tmpfs": {} }));
        let owned = found("driver_opts: { type: tmpfs, device: tmpfs, o: uid=1000 }").unwrap();
        assert!(owned.unwrap_err().text.contains("`uid=1000`"));
        for other in
            ["driver: local", "driver_opts: { type: nfs, device: tmpfs }", "external: true"]
        {
            assert_eq!(found(other), None, "{other}");
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

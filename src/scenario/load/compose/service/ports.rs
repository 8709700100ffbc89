//! The TCP ports that a service says it serves. A run publishes none; whoever asks whether the service
//! is up can ask there.

use super::{super::build, Service};
use crate::scenario::load::node::{Entry, Node, Value};

/// `ports`, in either form. What `expose` lists is for readers, and often more than is served.
pub(in crate::scenario::load::compose) fn served(service: &mut Service<'_, '_>, part: &Entry) {
    for item in part.value.items() {
        let Some(item) = service.file.noted(item) else { continue };
        let found = match &item.value {
            Value::Map(_) => long(&item),
            _ => build::word(&item).and_then(short),
        };
        let known = service.file.ports.entry(service.name.to_owned()).or_default();
        known.extend(found.filter(|port| !known.contains(port)));
    }
}

/// `8080:80`, `127.0.0.1:8080:80/tcp` or `80`: the container's is the last. A range says little of
/// what is served, and gives none.
fn short(text: &str) -> Option<u16> {
    let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let port = ports.rsplit(':').next()?.parse().ok()?;
    (protocol == "tcp" && port > 0).then_some(port)
}

/// `{ target: 80, published: 8080, protocol: tcp }`.
fn long(map: &Node) -> Option<u16> {
    let protocol = map.get("protocol").and_then(build::word).unwrap_or("tcp");
    short(&format!("{}/{protocol}", build::word(map.get("target")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_the_container_s_and_tcp() {
        for text in ["80", "8080:80", "127.0.0.1:8080:80/tcp", "[::1]:8080:80", "8000-8010:80"] {
            assert_eq!(short(text), Some(80), "{text}");
        }
        for text in ["53:53/udp", "3000-3005:3000-3005", "0", "8080:", "http", "70000"] {
            assert_eq!(short(text), None, "{text}");
        }
    }
}

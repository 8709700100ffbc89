//! What the engine's refusals mean. The engine has no error codes beyond the HTTP status, so its
//! words are matched; each text below stands in moby's sources.

use std::{error::Error as _, io};

use bollard::errors::Error;

use super::call::Call;
use crate::runtime::RuntimeError;

/// Finds the error that a user can act on.
pub(super) fn classify(call: &Call<'_>, error: &Error) -> RuntimeError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            by_status(call, *status_code, message.trim())
        }
        Error::DockerStreamError { error } => by_status(call, 500, error.trim()),
        Error::SocketNotFoundError(_) => RuntimeError::NoEngine { address: call.address.clone() },
        other => by_io(call, other),
    }
}

/// True for a refusal to touch what somebody else removes at this moment.
pub(super) fn is_being_removed(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::Refused { detail, .. }
        if detail.contains("is already in progress") || detail.contains("marked for removal"))
}

/// True for an object that cannot go yet: its last user is still going.
pub(super) fn is_busy(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::Refused { detail, .. }
        if detail.contains("in use") || detail.contains("active endpoints")
            || detail.contains("resource busy"))
}

fn by_status(call: &Call<'_>, status: u16, message: &str) -> RuntimeError {
    let lower = message.to_lowercase();
    if lower.contains("no space left on device") || lower.contains("disk quota exceeded") {
        return RuntimeError::EngineDiskFull { detail: message.to_owned() };
    }
    if status == 404 || lower.contains("no such image") {
        if let Some(image) = missing_image(call, message, &lower) {
            return RuntimeError::ImageMissing { image };
        }
        return gone(call, message, &lower);
    }
    let taken = lower.contains("port is already allocated")
        || lower.contains("address already in use")
        || (lower.contains("name") && lower.contains("already in use"))
        || (lower.contains("network with name") && lower.contains("already exists"))
        || (status == 409 && lower.starts_with("a volume named"));
    if taken {
        let what = if lower.contains("port") || lower.contains("address already") {
            "a port".to_owned()
        } else {
            format!("{} name `{}`", call.what, call.name)
        };
        return RuntimeError::Conflict { what, detail: message.to_owned() };
    }
    call.refused(message)
}

/// The image that is missing: asked for itself, or named in the refusal to create a container.
fn missing_image(call: &Call<'_>, message: &str, lower: &str) -> Option<String> {
    const WORDS: &str = "no such image: ";
    if call.what == "image" {
        return Some(call.name.to_owned());
    }
    // the words come twice where the reference has been looked up twice
    let name = message.get(lower.rfind(WORDS)? + WORDS.len()..)?;
    Some(name.trim().to_owned())
}

/// The object that a 404 speaks of: a container's creation can miss its network.
fn gone(call: &Call<'_>, message: &str, lower: &str) -> RuntimeError {
    let what = if lower.contains("network") && lower.contains("not found") {
        "network"
    } else if lower.contains("no such volume") {
        "volume"
    } else {
        call.what
    };
    if what == call.what {
        return RuntimeError::Gone { what, name: call.name.to_owned() };
    }
    let name = message.split_whitespace().find(|word| !word.eq_ignore_ascii_case(what));
    RuntimeError::Gone { what, name: name.unwrap_or(message).to_owned() }
}

fn by_io(call: &Call<'_>, error: &Error) -> RuntimeError {
    let mut source = error.source();
    let mut last = error.to_string();
    let mut kind = match error {
        Error::IOError { err } => Some(err.kind()),
        _ => None,
    };
    while let Some(cause) = source {
        last = cause.to_string();
        kind = kind.or_else(|| cause.downcast_ref::<io::Error>().map(io::Error::kind));
        source = cause.source();
    }
    let address = call.address.clone();
    match kind {
        Some(io::ErrorKind::PermissionDenied) => RuntimeError::Permission { address },
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            RuntimeError::NoEngine { address }
        }
        // a name that does not resolve, a host that does not route
        _ if matches!(error, Error::HyperLegacyError { err } if err.is_connect()) => {
            RuntimeError::NoEngine { address }
        }
        _ => call.refused(last),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal(what: &'static str, status_code: u16, message: &str) -> RuntimeError {
        let call = Call {
            address: "unix:///x".to_owned(),
            what,
            name: "mine",
            doing: format!("creating {what} `mine`"),
            limit: Duration::from_secs(1),
        };
        classify(
            &call,
            &Error::DockerResponseServerError { status_code, message: message.to_owned() },
        )
    }

    #[test]
    fn a_full_disk_is_known_by_its_words() {
        for message in [
            "write /var/lib/docker/tmp/x: no space left on device",
            "failed to register layer: Error processing tar file: No space left on device",
        ] {
            let detail = message.to_owned();
            assert_eq!(refusal("image", 500, message), RuntimeError::EngineDiskFull { detail });
        }
    }

    #[test]
    fn what_is_taken_is_named() {
        for (what, status, message, expected) in [
            (
                "container",
                409,
                "Conflict. The container name \"/mine\" is already in use by container \"0\".",
                "container name `mine`",
            ),
            ("network", 409, "network with name mine already exists", "network name `mine`"),
            (
                "container",
                500,
                "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated",
                "a port",
            ),
        ] {
            let error = refusal(what, status, message);
            assert!(
                matches!(&error, RuntimeError::Conflict { what, .. } if what == expected),
                "{error:?}"
            );
        }
    }

    #[test]
    fn what_is_gone_is_named() {
        let image = "No such image: x:1";
        let missing = RuntimeError::ImageMissing { image: "x:1".to_owned() };
        assert_eq!(refusal("container", 404, image), missing);
        let gone = |what, name: &str| RuntimeError::Gone { what, name: name.to_owned() };
        let container = "No such container: mine";
        assert_eq!(refusal("container", 404, container), gone("container", "mine"));
        let network = "network other not found";
        assert_eq!(refusal("container", 404, network), gone("network", "other"));
        assert_eq!(refusal("volume", 404, "get mine: no such volume"), gone("volume", "mine"));
    }

    #[test]
    fn a_container_in_the_wrong_state_is_no_conflict() {
        let error = refusal("container", 409, "Container 0 is not running");
        assert!(matches!(error, RuntimeError::Refused { .. }), "{error:?}");
    }

    #[test]
    fn a_socket_that_refuses_us_is_named() {
        let call = Call {
            address: "unix:///x".to_owned(),
            what: "container",
            name: "mine",
            doing: String::new(),
            limit: Duration::from_secs(1),
        };
        let denied = Error::IOError { err: io::ErrorKind::PermissionDenied.into() };
        let address = "unix:///x".to_owned();
        assert_eq!(classify(&call, &denied), RuntimeError::Permission { address });
    }
}

//! Where the engine listens, and the connection to it. Sends nothing.

use bollard::API_DEFAULT_VERSION;

use super::Docker;
use crate::runtime::{Result, RuntimeError};

/// Where an engine listens when nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The client's own limit, in seconds: above every limit that a call sets for itself.
const CLIENT_LIMIT: u64 = 3600;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Path of a local socket.
    Unix(String),
    /// Behind TCP.
    Http {
        /// `http://host:port`.
        url: String,
        /// As the user wrote it: `tcp://host:port`.
        text: String,
    },
}

impl Address {
    /// Reads the value of `DOCKER_HOST` or of an option; `tls` when TLS is asked for.
    fn parse(text: &str, tls: bool) -> Result<Self> {
        let refuse = |detail: &str| {
            Err(RuntimeError::Address { address: text.to_owned(), detail: detail.to_owned() })
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return Ok(Self::Unix(path.to_owned()));
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(text.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("http://")) {
            if tls {
                return refuse("TLS (DOCKER_TLS_VERIFY) is not supported");
            }
            let url = format!("http://{}", rest.trim_end_matches('/'));
            return Ok(Self::Http { url, text: text.to_owned() });
        }
        match text.split_once("://").map(|(scheme, _)| scheme) {
            Some("https") => refuse("TLS is not supported"),
            Some("ssh") => refuse("ssh addresses are not supported"),
            _ => refuse("it is none of `unix://PATH`, `tcp://HOST:PORT`, `http://HOST:PORT`"),
        }
    }

    /// As users write it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{path}"),
            Self::Http { text, .. } => text.clone(),
        }
    }
}

impl Docker {
    /// An engine at `address`, else at `DOCKER_HOST`, else at the default socket. Docker contexts
    /// are not read.
    ///
    /// # Errors
    /// [`RuntimeError::Address`] for what we cannot speak (TLS, ssh), [`RuntimeError::NoEngine`]
    /// when there is no such socket.
    pub fn connect(address: Option<&str>) -> Result<Self> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let tls = std::env::var_os("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
        match address.or(host.as_deref()) {
            Some(text) => Self::at(Address::parse(text, tls)?),
            None => Self::at(Address::Unix(DEFAULT_SOCKET.to_owned())),
        }
    }

    /// An engine behind a local socket, whatever the environment says.
    ///
    /// # Errors
    /// [`RuntimeError::NoEngine`] when there is no such socket.
    pub fn connect_socket(path: &str) -> Result<Self> {
        Self::at(Address::Unix(path.to_owned()))
    }

    /// Whether it listens on a socket of this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    fn at(address: Address) -> Result<Self> {
        let client = match &address {
            Address::Unix(path) => {
                bollard::Docker::connect_with_unix(path, CLIENT_LIMIT, API_DEFAULT_VERSION)
            }
            Address::Http { url, .. } => {
                bollard::Docker::connect_with_http(url, CLIENT_LIMIT, API_DEFAULT_VERSION)
            }
        };
        match client {
            Ok(client) => {
                let (version, ahead_ns) = Default::default();
                Ok(Self { client, address, version, ahead_ns })
            }
            Err(bollard::errors::Error::SocketNotFoundError(_)) => {
                Err(RuntimeError::NoEngine { address: address.text() })
            }
            Err(error) => {
                Err(RuntimeError::Address { address: address.text(), detail: error.to_string() })
            }
        }
    }

    /// Where the engine listens: `unix:///var/run/docker.sock`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.text()
    }

    /// Path of the engine's socket, where we speak to it through one.
    #[must_use]
    pub fn local_socket(&self) -> Option<&str> {
        match &self.address {
            Address::Unix(path) => Some(path),
            Address::Http { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let unix = Address::Unix("/x/y.sock".into());
        assert_eq!(Address::parse("unix:///x/y.sock", true), Ok(unix.clone()));
        assert_eq!(Address::parse("/x/y.sock", false), Ok(unix));
        for text in ["tcp://h:2375", "http://h:2375/"] {
            let http = Address::Http { url: "http://h:2375".into(), text: text.into() };
            assert_eq!(Address::parse(text, false), Ok(http));
        }
    }

    #[test]
    fn an_address_is_shown_as_it_was_written() {
        for text in ["tcp://h:2375", "http://h:2375", "unix:///x/y.sock"] {
            assert_eq!(Address::parse(text, false).unwrap().text(), text);
        }
    }

    #[test]
    fn what_we_cannot_speak_is_named() {
        for (text, tls, word) in [
            ("tcp://h:2376", true, "DOCKER_TLS_VERIFY"),
            ("https://h:2376", false, "TLS"),
            ("ssh://h", false, "ssh"),
            ("npipe:////./pipe/x", false, "unix://PATH"),
            ("localhost:2375", false, "unix://PATH"),
        ] {
            let error = Address::parse(text, tls).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_missing_socket_means_no_engine() {
        let error = Docker::connect(Some("unix:///nowhere/engine.sock")).unwrap_err();
        assert_eq!(
            error,
            RuntimeError::NoEngine { address: "unix:///nowhere/engine.sock".to_owned() }
        );
    }
}

//! A container's network namespace: what it has, and whether a connection can be opened from it.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{super::HelperError, place::init};
use crate::{
    host::{errno::Errno, interfaces, namespace::in_net_ns},
    protocol::{NetFacts, Place, Trial},
};

/// Interfaces and addresses, as the kernel lists them for the container's init.
pub(super) fn facts(place: &Place) -> Result<NetFacts, HelperError> {
    let target = init(place)?;
    let interfaces = interfaces::names(target)?;
    Ok(NetFacts { interfaces, addresses: interfaces::addresses(target)? })
}

/// Opens a connection and closes it again.
pub(super) fn connect(
    place: &Place,
    to: SocketAddr,
    timeout_ms: u64,
) -> Result<Trial, HelperError> {
    let within = Duration::from_millis(timeout_ms.max(1));
    let opened = in_net_ns(init(place)?, || TcpStream::connect_timeout(&to, within))?;
    Ok(Trial { errno: opened.err().map(|error| errno(&error)) })
}

fn errno(error: &std::io::Error) -> String {
    // std gives up waiting by itself, without the kernel's error
    if error.kind() == std::io::ErrorKind::TimedOut {
        return "ETIMEDOUT".to_owned();
    }
    let errno = Errno::of_io(error);
    errno.name().map_or_else(|| errno.0.to_string(), str::to_owned)
}

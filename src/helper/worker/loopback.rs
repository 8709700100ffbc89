//! TCP on a container's own loopback: over a socket that was opened in its network namespace.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream as StdStream},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::host::{namespace::in_net_ns, process::Identity};

/// How long a connection may take: nothing is between.
const CONNECT: Duration = Duration::from_secs(2);

/// A stream to a port on the container's loopback. The error says why there is none.
pub(super) async fn connect(target: Identity, port: u16) -> Result<TcpStream, String> {
    let open = move || {
        in_net_ns(target, || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let stream = StdStream::connect_timeout(&address, CONNECT)?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        })
    };
    let opened = tokio::task::spawn_blocking(open).await.map_err(|error| error.to_string())?;
    let stream = opened.map_err(|error| error.to_string())?;
    let stream = stream.map_err(|error| format!("connect to port {port}: {error}"))?;
    TcpStream::from_std(stream).map_err(|error| error.to_string())
}

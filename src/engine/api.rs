//! The engine's API over its port on the loopback: as much of HTTP as three calls need. One
//! connection for each call.

use std::{
    io::{self, Read as _, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use crate::runtime::ENGINE_PORT;

/// An image of 100 MB on a slow disk.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most of a reply that is read.
const MOST: u64 = 1 << 20;

/// A call without a body, or with one of JSON. Returns the status.
pub(super) fn call(method: &str, path: &str, json: &str) -> io::Result<u16> {
    let mut stream = open()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )?;
    status(stream)
}

/// A call whose body is written while it is sent. Returns the status.
pub(super) fn upload(
    path: &str,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<u16> {
    let mut stream = open()?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\
         Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    let mut chunks = io::BufWriter::with_capacity(1 << 18, Chunks(&mut stream));
    body(&mut chunks)?;
    chunks.flush()?;
    drop(chunks);
    stream.write_all(b"0\r\n\r\n")?;
    status(stream)
}

fn open() -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, ENGINE_PORT))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads the reply to its end: only then has the engine done what it was asked to.
fn status(stream: TcpStream) -> io::Result<u16> {
    let mut reply = Vec::new();
    stream.take(MOST).read_to_end(&mut reply)?;
    let head = String::from_utf8_lossy(&reply);
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    status.ok_or_else(|| io::Error::other("the engine's reply is no HTTP"))
}

/// Chunks of a body whose length is not known beforehand (RFC 9112, 7.1).
struct Chunks<'a>(&'a mut TcpStream);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            write!(self.0, "{:x}\r\n", bytes.len())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

//! HTTP as a worker speaks it.

use serde::{Deserialize, Serialize};

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// `GET`, `PUT`, …
    pub method: String,
    /// TCP port on the container's loopback.
    pub port: u16,
    /// Path with query.
    pub path: String,
    /// Body.
    pub body: String,
    /// Milliseconds until the attempt is given up.
    pub timeout_ms: u64,
}

/// An HTTP reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// Body, bounded; invalid UTF-8 replaced.
    pub body: String,
    /// Microseconds from connect to the last byte.
    pub took_us: u64,
}

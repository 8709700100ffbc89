//! The first frame each way: protocol version and identity of the build.

use std::{io::Read as _, sync::OnceLock};

use serde::{Deserialize, Serialize};

use super::WireError;
use crate::{protocol::VERSION, runtime};

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Protocol version.
    pub(crate) version: u32,
    /// Identity of the build.
    pub(crate) build: String,
    /// The run.
    pub(crate) run: String,
}

impl Hello {
    /// This build.
    pub(crate) fn ours(run: &str) -> Self {
        Self { version: VERSION, build: build_id().to_owned(), run: run.to_owned() }
    }

    /// Refuses any other build, and any other run.
    pub(crate) fn check(&self, theirs: &Self) -> Result<(), WireError> {
        let same = (self.version, &self.build, &self.run);
        if same == (theirs.version, &theirs.build, &theirs.run) {
            return Ok(());
        }
        let name = |hello: &Self| {
            format!("protocol {}, build {}, run `{}`", hello.version, hello.build, hello.run)
        };
        Err(WireError::OtherBuild { ours: name(self), theirs: name(theirs) })
    }
}

/// Identity of the executable that runs in our containers, on either side: its length and the CRC-32 of its bytes. Not a defence against an
/// attacker, who would not need one: the helper's image is made from these very bytes.
pub(crate) fn build_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| own_checksum().unwrap_or_else(|_| "unreadable".into()))
}

fn own_checksum() -> std::io::Result<String> {
    let mut file = std::fs::File::open(runtime::program())?;
    let mut hasher = crc32fast::Hasher::new();
    let mut chunk = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(format!("{length:x}-{:08x}", hasher.finalize())),
            n => {
                hasher.update(&chunk[..n]);
                length += n;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_build_or_run_is_refused() {
        let ours = Hello::ours("r");
        assert!(ours.check(&Hello::ours("r")).is_ok());
        assert_ne!(ours.build, "unreadable");
        let others = [
            Hello { version: 0, ..ours.clone() },
            Hello { build: "x".into(), ..ours.clone() },
            Hello { run: "s".into(), ..ours.clone() },
        ];
        for other in others {
            assert!(matches!(ours.check(&other), Err(WireError::OtherBuild { .. })));
        }
    }
}

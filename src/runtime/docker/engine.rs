//! What the engine is, and whether it is new enough.

use super::{Docker, MINIMUM_API};
use crate::runtime::{EngineFacts, Result, RuntimeError};

/// An API version; ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl ApiVersion {
    /// The first with a cgroup namespace mode.
    pub(super) const CGROUP_NAMESPACE: Self = Self { major: 1, minor: 41 };

    /// Reads `1.41`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl Docker {
    pub(super) async fn engine_facts(&self) -> Result<EngineFacts> {
        let (version, info) = tokio::try_join!(
            async { self.call("asking for the", "version", "").run(self.client.version()).await },
            async {
                self.call("asking for", "what the engine is", "").run(self.client.info()).await
            },
        )?;
        let api_version = version.api_version.unwrap_or_default();
        check(&api_version)?;
        Ok(EngineFacts {
            address: self.address(),
            version: version.version.unwrap_or_default(),
            api_version,
            os: info.operating_system.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
            // engines before API 1.41 know version 1 only, and do not say so
            cgroup_version: info
                .cgroup_version
                .map(|version| version.to_string())
                .filter(|version| !version.is_empty())
                .unwrap_or_else(|| "1".to_owned()),
            security: info.security_options.unwrap_or_default(),
        })
    }

    /// The engine's API version; asked for once.
    ///
    /// # Errors
    /// [`RuntimeError::TooOld`], or what the call came to.
    pub async fn api_version(&self) -> Result<ApiVersion> {
        self.api
            .get_or_try_init(|| async {
                let call = self.call("asking for the", "version", "");
                let version = call.run(self.client.version()).await?;
                check(&version.api_version.unwrap_or_default())
            })
            .await
            .copied()
    }
}

fn check(text: &str) -> Result<ApiVersion> {
    ApiVersion::parse(text)
        .filter(|version| Some(*version) >= ApiVersion::parse(MINIMUM_API))
        .ok_or(RuntimeError::TooOld { found: format!("`{text}`"), needed: MINIMUM_API })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(check("1.40").is_ok());
        assert!(check("1.100").is_ok());
        assert!(check("2.0").is_ok());
        for old in ["1.9", "1.39", "", "new"] {
            assert!(matches!(check(old), Err(RuntimeError::TooOld { .. })), "{old}");
        }
    }
}

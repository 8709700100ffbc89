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

/// What an engine says of its version.
#[derive(Debug, Clone)]
pub(super) struct Version {
    api: ApiVersion,
    /// `1.41`.
    api_text: String,
    /// `20.10.24`.
    release: String,
}

impl Docker {
    pub(super) async fn engine_facts(&self) -> Result<EngineFacts> {
        let (version, info) = tokio::try_join!(self.version(), async {
            let call = self.call("asking for", "what the engine is", "");
            self.known_to_engines(call.run(self.client.info()).await)
        })?;
        Ok(EngineFacts {
            address: self.address(),
            version: version.release.clone(),
            api_version: version.api_text.clone(),
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
        self.version().await.map(|version| version.api)
    }

    /// What has never heard of a question that every engine answers is none.
    fn known_to_engines<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match error {
            RuntimeError::Gone { .. } => RuntimeError::NotAnEngine { address: self.address() },
            other => other,
        })
    }

    async fn version(&self) -> Result<&Version> {
        self.version
            .get_or_try_init(|| async {
                let call = self.call("asking for the", "version", "");
                let version =
                    call.run(self.client.version()).await.map_err(|error| match error {
                        // it has nothing at `/version`
                        RuntimeError::Gone { .. } => {
                            RuntimeError::NotAnEngine { address: self.address() }
                        }
                        other => other,
                    })?;
                let api_text = version.api_version.unwrap_or_default();
                let api = check(&api_text)?;
                Ok(Version { api, api_text, release: version.version.unwrap_or_default() })
            })
            .await
    }
}

fn check(text: &str) -> Result<ApiVersion> {
    ApiVersion::parse(text)
        .filter(|version| Some(*version) >= ApiVersion::parse(MINIMUM_API))
        .ok_or(RuntimeError::TooOld { found: format!("`{text}`"), needed: MINIMUM_API })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runtime::{Runtime, docker::scripted};

    #[tokio::test]
    async fn the_version_is_asked_for_once() {
        let engine = scripted::ScriptedEngine::start(|asked| match asked {
            "GET /version" => {
                scripted::json(&json!({ "ApiVersion": "1.41", "Version": "20.10.24" }))
            }
            _ => scripted::json(&json!({ "OperatingSystem": "Debian" })),
        });
        let client = engine.client();
        for _ in 0..2 {
            let facts = client.engine().await.unwrap();
            assert_eq!((facts.version.as_str(), facts.os.as_str()), ("20.10.24", "Debian"));
            assert_eq!(Some(client.api_version().await.unwrap()), ApiVersion::parse("1.41"));
        }
        assert_eq!(engine.asked("/version").len(), 1);
    }

    #[tokio::test]
    async fn what_has_no_version_is_no_engine() {
        let other = scripted::ScriptedEngine::start(|_| scripted::refuse(404, "Not Found"));
        let error = other.client().engine().await.unwrap_err();
        assert!(matches!(error, RuntimeError::NotAnEngine { .. }), "{error:?}");
    }

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

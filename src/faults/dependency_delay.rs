//! `dependency-delay`: a service comes up before what it depends on.
//!
//! Mechanism: the engine stops the dependency, and then restarts the service. Blast radius: these two
//! containers, and whoever else needs the dependency. Undone by starting the dependency.

use std::{net::SocketAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    grace, lifecycle,
    observe::{tried, word},
};
use crate::{
    helper::HelperError,
    protocol::{Capability, EngineOp, Op, Outcome, Read},
    runtime::{ContainerFacts, State},
};

/// Keeps a dependency away while the service that needs it starts.
///
/// The dependency is stopped first, then the service is restarted, and finds nobody at the
/// dependency's port. With the revert, or after `for`, the dependency comes up. Use it to see whether
/// the service waits, less and less often, instead of ending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyDelay {
    /// The service that depends: `service`.
    pub(super) target: Target,
    /// The service that it depends on.
    on: String,
    /// The port at which the dependency listens.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1))]
    port: u16,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Name of the dependency's container.
    dependency: String,
    /// Where it listened.
    address: SocketAddr,
    /// The service's container.
    dependent: lifecycle::Before,
}

/// What the service finds at the dependency's port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// Somebody listens.
    Listener,
    /// A connection fails with this errno.
    Nobody(String),
    /// The engine has given the dependency's address to the service itself.
    Itself,
    /// The service itself has ended, and can find nothing.
    NotLooking(String),
}

/// The reference subject's.
fn default_port() -> u16 {
    8080
}

/// On one bridge a connection is there at once. An address that nobody has answers nothing.
const CONNECT_MS: u64 = 500;
/// A service that ends at once is between two starts in one look, and running in the next.
const SETTLING: u32 = 10;
/// A dependency that was started takes a while until it listens.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 100 });

impl DependencyDelay {
    /// Where the dependency listens, on a network that both are on.
    fn address(&self, own: &ContainerFacts, other: &ContainerFacts) -> Option<SocketAddr> {
        let shared = |id: &str| own.networks.iter().any(|network| network.id == id);
        let address = other.networks.iter().find(|network| shared(&network.id))?.address.parse();
        Some(SocketAddr::new(address.ok()?, self.port))
    }

    async fn look(&self, to: SocketAddr, cx: &Cx<'_>) -> Result<Found, FaultError> {
        let place = cx.site.place.clone();
        match cx.trial(Read::Connect { place, to, timeout_ms: CONNECT_MS }).await {
            Ok(None) => Ok(Found::Listener),
            Ok(Some(errno)) => Ok(Found::Nobody(errno)),
            Err(error @ FaultError::Helper(HelperError::Lost(_))) => Err(error),
            // between two starts there is no namespace to look from
            Err(FaultError::Helper(error)) => Ok(Found::NotLooking(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// One look at all of it.
    async fn seen(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let other = cx.runtime.inspect(&before.dependency).await?;
        let own = before.dependent.again(cx).await?;
        let address = before.address.ip().to_string();
        // the engine gives the lowest address that is free to whoever starts next
        let found = if own.networks.iter().any(|network| network.address == address) {
            Found::Itself
        } else {
            self.look(before.address, cx).await?
        };
        let anew = before.dependent.started_anew(&own);
        Ok(self.judge(other.state, anew, own.state, &found))
    }

    /// The dependency is away, and the service has come up without it.
    fn judge(&self, dependency: State, anew: bool, state: State, found: &Found) -> Effect {
        let unmet = match found {
            Found::Listener => false,
            Found::Nobody(_) | Found::Itself => true,
            Found::NotLooking(_) => state != State::Running,
        };
        let started = if anew { "was started since" } else { "was not started since" };
        let seen = match found {
            Found::NotLooking(why) => format!("it is {}: {why}", word(state)),
            Found::Itself => "the address of the dependency is its own now".to_owned(),
            Found::Listener => format!("connect to port {}: {}", self.port, tried(None)),
            Found::Nobody(errno) => {
                format!("connect to port {}: {}", self.port, tried(Some(errno)))
            }
        };
        let evidence =
            format!("`{}` is {}; `{}` {started}; {seen}", self.on, word(dependency), self.target);
        Effect { proven: dependency == State::Exited && anew && unmet, evidence, notes: Vec::new() }
    }
}

impl Fault for DependencyDelay {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "dependency-delay: { target: agent, on: controller }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn peer(&self) -> Option<(&'static str, &str)> {
        Some(("on", &self.on))
    }

    fn describe(&self) -> Described {
        let Self { target, on, port } = self;
        Described {
            act: format!("stop `{on}`, and restart `{target}` without it"),
            undo: format!("start `{on}`"),
            proof: format!(
                "`{target}` was started since, and a connect from it to port {port} fails"
            ),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let path = checks::needs_no_path("dependency-delay", &self.target);
        let itself = (self.on == self.target.service)
            .then(|| format!("`{}` cannot wait for itself\n\nhint: name another service", self.on));
        let port = (self.port == 0).then(|| {
            "nobody listens at port 0\n\nhint: write the dependency's port, as in `port: 5432`"
                .to_owned()
        });
        [path, itself, port].into_iter().flatten().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let own = cx.running().await?;
        let other = cx.runtime.inspect(&cx.container_name(&self.on)).await?;
        let refuse = |why: String| Err(FaultError::Refused(why));
        if other.state != State::Running {
            return refuse(format!(
                "`{}` is {}, so it is away already",
                self.on,
                word(other.state)
            ));
        }
        let Some(address) = self.address(&own, &other) else {
            return refuse(format!("`{}` and `{}` share no network", self.target, self.on));
        };
        let found = self.look(address, cx).await?;
        if found != Found::Listener {
            return refuse(format!(
                "`{}` does not listen at port {} yet, so keeping it away would show nothing: \
                 {found:?}\n\nhint: name the port that it listens at",
                self.on, self.port
            ));
        }
        let stop = EngineOp::Stop {
            container: other.id.clone(),
            grace_ms: grace::milliseconds(None, &other),
        };
        let restart = EngineOp::Restart {
            container: own.id.clone(),
            grace_ms: grace::milliseconds(None, &own),
        };
        let dependent = lifecycle::Before::of(&own);
        let before = Before { dependency: other.name, address, dependent };
        let undo = vec![Op::Engine(EngineOp::Start { container: other.id })];
        Ok(Prepared { before, ops: vec![Op::Engine(stop), Op::Engine(restart)], undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let mut effect = self.seen(before, cx).await?;
        for _ in 1..SETTLING {
            if effect.proven {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            effect = self.seen(before, cx).await?;
        }
        Ok(effect)
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let mut seen = String::new();
        for _ in 0..LOOKS {
            let other = cx.runtime.inspect(&before.dependency).await?;
            let own = before.dependent.again(cx).await?;
            seen = format!("`{}` is {}", self.on, word(other.state));
            if other.state == State::Running && own.state != State::Running {
                return Ok(Effect::proven(format!("{seen}; `{}` itself is not", self.target)));
            }
            if let Some(address) = self.address(&own, &other)
                && self.look(address, cx).await? == Found::Listener
            {
                return Ok(Effect::proven(format!("{seen}, and listens at {address}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Effect::unproven(format!("{seen}; nobody listens at its port {}", self.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Trial,
    };

    fn fault(yaml: &str) -> DependencyDelay {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent, on: controller }";

    #[tokio::test]
    async fn the_dependency_goes_first_and_comes_back_alone() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let Prepared { before, ops, undo } = fault(PLAIN).prepare(&cx).await.unwrap();
        assert_eq!(before.address.to_string(), "172.30.0.2:8080");
        let [Op::Engine(EngineOp::Stop { .. }), Op::Engine(EngineOp::Restart { .. })] = &ops[..]
        else {
            panic!("{ops:?}");
        };
        assert_eq!(undo, [Op::Engine(EngineOp::Start { container: "c1".into() })]);
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().connect = Trial { errno: Some("EHOSTUNREACH".into()) };
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().container.as_mut().unwrap().networks.clear();
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn proven_by_another_start_that_found_nobody() {
        let fault = fault(PLAIN);
        let nobody = Found::Nobody("ECONNREFUSED".into());
        let proven = |dependency, anew, state, found: &Found| {
            fault.judge(dependency, anew, state, found).proven
        };
        assert!(proven(State::Exited, true, State::Running, &nobody));
        assert!(!proven(State::Running, true, State::Running, &nobody));
        assert!(!proven(State::Exited, false, State::Running, &nobody), "it runs from before");
        assert!(!proven(State::Exited, true, State::Running, &Found::Listener));
        assert!(proven(State::Exited, true, State::Running, &Found::Itself));
        assert!(!proven(State::Running, true, State::Running, &Found::Itself));
        let gone = Found::NotLooking("it does not run".into());
        assert!(proven(State::Exited, true, State::Restarting, &gone), "it gave up at once");
        assert!(!proven(State::Exited, true, State::Running, &gone));
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault(PLAIN).check(&none).is_empty());
        let wrong = fault("{ target: \"agent:/x\", on: agent, port: 0 }");
        assert_eq!(wrong.check(&none).len(), 3);
    }
}

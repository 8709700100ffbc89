//! `disconnect`: takes a container off the networks of its run, as a pulled cable does.
//!
//! Mechanism: the engine's `network disconnect`, which takes the interface away. Blast radius: one
//! container; its loopback stays. Undone by `network connect` with the same names.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks, observe::tried,
};
use crate::{
    protocol::{Capability, EngineOp, NetFacts, Op, Outcome, Read},
    runtime::ContainerNetwork,
};

/// Takes a container off its networks until it is reverted.
///
/// Its interface is gone: connections hang until they time out, new ones fail with ENETUNREACH, and
/// others no longer find it by name. Its loopback stays, so HTTP probes and loads still reach it.
/// Afterwards it has its names again, and the address that the engine gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// The container: `service`.
    pub(super) target: Target,
    /// Only off this network, as the scenario names it; off all by default.
    network: Option<String>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The networks that it is taken off.
    networks: Vec<ContainerNetwork>,
    /// Its interfaces.
    interfaces: Vec<String>,
}

/// A route that is there answers at once; one that is not, too.
const CONNECT_MS: u64 = 500;
/// Discard (RFC 863): nobody listens, and whoever does loses nothing.
const PORT: u16 = 9;

impl Disconnect {
    /// The networks that are meant, of those that the container is on.
    fn meant(
        &self,
        networks: Vec<ContainerNetwork>,
        cx: &Cx<'_>,
    ) -> Result<Vec<ContainerNetwork>, FaultError> {
        let prefix = format!("keelhaul-{}-", cx.run);
        let service = &cx.site.service;
        let names: Vec<String> = networks
            .iter()
            .map(|one| format!("`{}`", one.name.trim_start_matches(&prefix)))
            .collect();
        let meant: Vec<_> = networks
            .into_iter()
            .filter(|one| {
                let name = one.name.trim_start_matches(&prefix);
                self.network.as_ref().is_none_or(|network| network == name)
            })
            .collect();
        match (meant.is_empty(), &self.network) {
            (false, _) => Ok(meant),
            (true, Some(network)) if !names.is_empty() => Err(FaultError::Refused(format!(
                "`{service}` is not on the network `{network}`\n\nhint: it is on {}",
                names.join(", ")
            ))),
            (true, _) => Err(FaultError::Refused(format!(
                "`{service}` is on no network, so the fault would do nothing"
            ))),
        }
    }
}

impl Fault for Disconnect {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "disconnect: { target: agent }";
    const ON_OTHERS: OnOthers = OnOthers::Refused {
        why: "the engine may give it another address afterwards",
        hint: "`pause` makes it silent as well",
    };

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let from = self.network.as_ref().map_or("its networks".into(), |name| format!("`{name}`"));
        Described {
            act: format!("take `{}` off {from}", self.target),
            undo: "connect it again, with the same names".into(),
            proof: "its interface and its address are gone, and a connect fails".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path("disconnect", &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        let networks = self.meant(facts.networks, cx)?;
        let interfaces = cx.net().await?.interfaces;
        let (mut ops, mut undo) = (Vec::new(), Vec::new());
        for ContainerNetwork { id: network, aliases, .. } in &networks {
            // by name, which stays when the container is made anew
            let (container, network) = (facts.name.clone(), network.clone());
            undo.push(Op::Engine(EngineOp::Connect {
                container: container.clone(),
                network: network.clone(),
                aliases: aliases.clone(),
            }));
            ops.push(Op::Engine(EngineOp::Disconnect { container, network }));
        }
        Ok(Prepared { before: Before { networks, interfaces }, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let now = cx.net().await?;
        let there = |one: &&ContainerNetwork| now.addresses.contains(&one.address);
        let taken = before.interfaces.len().saturating_sub(now.interfaces.len());
        let gone = taken >= before.networks.len() && !before.networks.iter().any(|one| there(&one));
        let evidence = in_words(before, &now);
        // with another network left, its route may lead to the same gateway
        let alone = now.interfaces.iter().all(|name| name == "lo");
        let gateway = before.networks.iter().find_map(|one| one.gateway.parse::<IpAddr>().ok());
        let Some(gateway) = gateway.filter(|_| alone) else {
            return Ok(Effect { proven: gone, evidence, notes: Vec::new() });
        };
        let (place, to) = (cx.site.place.clone(), SocketAddr::from((gateway, PORT)));
        let errno = cx.trial(Read::Connect { place, to, timeout_ms: CONNECT_MS }).await?;
        let cut = errno.as_deref() == Some("ENETUNREACH");
        let evidence = format!("{evidence}; connect to {to}: {}", tried(errno.as_ref()));
        Ok(Effect { proven: gone && cut, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let (facts, now) = (cx.running().await?, cx.net().await?);
        let mut effect = Effect::proven(in_words(before, &now));
        for old in &before.networks {
            let again = facts.networks.iter().find(|one| one.id == old.id);
            effect.proven &= again.is_some_and(|one| {
                now.addresses.contains(&one.address)
                    && old.aliases.iter().all(|alias| one.aliases.contains(alias))
            });
            if let Some(one) = again.filter(|one| one.address != old.address) {
                effect =
                    effect.note(format!("its address is {}, not {}", one.address, old.address));
            }
        }
        Ok(effect)
    }
}

fn in_words(before: &Before, now: &NetFacts) -> String {
    let (was, is) = (before.interfaces.join(", "), now.interfaces.join(", "));
    format!("interfaces {is}, before {was}; addresses {}", now.addresses.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake, net, network},
        protocol::Trial,
        runtime::State,
    };

    fn fault(yaml: &str) -> Disconnect {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn cut_off(fake: &Fake) {
        let mut world = fake.world();
        world.net = net(&["lo"], &["127.0.0.1"]);
        world.connect = Trial { errno: Some("ENETUNREACH".into()) };
    }

    #[tokio::test]
    async fn proven_by_the_interface_the_address_and_a_connect() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let (container, network) = ("agent".to_owned(), "id-default".to_owned());
        let aliases = vec!["agent".to_owned()];
        let away = EngineOp::Disconnect { container: container.clone(), network: network.clone() };
        assert_eq!(ops, [Op::Engine(away)]);
        assert_eq!(undo, [Op::Engine(EngineOp::Connect { container, network, aliases })]);
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        cut_off(&fake);
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().connect = Trial { errno: Some("ECONNREFUSED".into()) };
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "somebody answered");
    }

    #[tokio::test]
    async fn reverted_when_it_has_its_names_and_an_address_again() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let before = fault.prepare(&cx).await.unwrap().before;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        cut_off(&fake);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().net = net(&["lo", "eth1"], &["127.0.0.1", "172.30.0.7"]);
        fake.world().container.as_mut().unwrap().networks = vec![network("default", "172.30.0.7")];
        let moved = fault.verify_reverted(&before, &cx).await.unwrap();
        assert!(moved.proven && moved.notes[0].contains("172.30.0.7"), "{moved:?}");
        fake.world().container.as_mut().unwrap().networks[0].aliases.clear();
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven, "nobody finds it");
    }

    #[tokio::test]
    async fn one_network_of_several_leaves_the_others() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        fake.world().net = net(&["lo", "eth0", "eth1"], &["127.0.0.1", "172.30.0.2", "10.0.0.2"]);
        fake.world().container.as_mut().unwrap().networks.push(network("back", "10.0.0.2"));
        let fault = fault("{ target: agent, network: back }");
        let prepared = fault.prepare(&cx).await.unwrap();
        assert_eq!(prepared.ops.len(), 1);
        fake.world().net = net(&["lo", "eth0"], &["127.0.0.1", "172.30.0.2"]);
        assert!(fault.verify(&prepared.before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn what_cannot_be_cut_off_is_refused() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let Err(FaultError::Refused(why)) =
            fault("{ target: agent, network: back }").prepare(&cx).await
        else {
            panic!("not refused");
        };
        assert!(why.contains("hint: it is on `default`"), "{why}");
        let fault = fault("{ target: agent }");
        fake.world().container.as_mut().unwrap().networks.clear();
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        let path: Disconnect = serde_saphyr::from_str("{ target: \"agent:/data\" }").unwrap();
        assert_eq!(path.check(&none).len(), 1);
    }
}

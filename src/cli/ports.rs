//! Which of the ports that a container declares it serves: an image exposes more than that.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};

use crate::{
    runtime::{Choices, Docker, Runtime as _},
    starter::Ports,
};

/// Who serves a port of this host's own networks answers sooner by far.
const ANSWERS_IN: Duration = Duration::from_secs(1);
/// So many are asked; whoever declares more is believed to serve none of the others.
const MOST: usize = 64;

/// What is published is meant to be served. What is only exposed is, where it answers now.
pub(super) async fn of(docker: &Docker, choices: &Choices) -> anyhow::Result<Ports> {
    let all = choices.ports.clone();
    if choices.published || !choices.running {
        let (served, declared) = if choices.published { (all, vec![]) } else { (vec![], all) };
        return Ok(Ports { served, declared });
    }
    let facts = docker.inspect(&choices.id).await?;
    let addresses = facts.networks.iter().map(|network| network.address.as_str());
    let addresses: Vec<&str> = addresses.filter(|address| !address.is_empty()).collect();
    let asked = all.iter().take(MOST).map(|port| answers(&addresses, *port));
    let mut answered = futures_util::future::join_all(asked).await.into_iter();
    let (served, declared) = all.iter().partition(|_| answered.next().unwrap_or_default());
    Ok(Ports { served, declared })
}

async fn answers(addresses: &[&str], port: u16) -> bool {
    for address in addresses {
        if let Ok(Ok(_)) = timeout(ANSWERS_IN, TcpStream::connect((*address, port))).await {
            return true;
        }
    }
    false
}

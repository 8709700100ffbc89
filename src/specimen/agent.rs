//! The agent's side of a controller: beats, so that the controller knows that it is alive.

use std::io;
use std::sync::Arc;

use super::backoff::Backoff;
use super::service::Service;
use super::uplink::Uplink;
use super::weakness::Weakness;

/// Waits for the controller before anything depends on it, and asks less and less often.
pub(super) fn register(service: &Service) -> io::Result<()> {
    let Some(uplink) = &service.uplink else { return Ok(()) };
    let mut retry = Backoff::new(&service.args);
    while let Err(error) = beat(service, uplink) {
        if service.args.has(Weakness::NoRetry) {
            return Err(error);
        }
        let pause = retry.next();
        let again =
            format!("start: the controller is not ready; again in {} ms", pause.as_millis());
        service.console.say(again);
        if service.stop.sleep(pause) {
            break;
        }
    }
    Ok(())
}

/// The thread: one beat per interval until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let Some(uplink) = &service.uplink else { return };
    while !service.stop.sleep(service.args.beat_every) {
        // a beat that is not heard is followed by the next; nothing is sent twice
        let _ = beat(service, uplink);
    }
}

fn beat(service: &Service, uplink: &Uplink) -> io::Result<()> {
    uplink.send("POST", &format!("/agents/{}/beat", service.args.name), "")
}

//! What a refused permission means to the service: a problem with a name, which ends when somebody
//! mends it. Writes nothing itself.

use std::io;

use super::errno;
use super::serve::SpecimenError;
use super::service::Service;
use super::weakness::Weakness;

/// Refused writes after which the weakness gives up: some seconds, as with retries.
const PATIENCE: u64 = 10;

/// How often this was met so far.
fn refused(service: &Service, error: &io::Error) -> u64 {
    service.health.view().errors.get(&errno::name(error)).copied().unwrap_or_default()
}

/// The result of touching the storage, as the rest of the service is to take it.
pub(super) fn settle<T: Default>(service: &Service, result: io::Result<T>) -> io::Result<T> {
    let Err(error) = result else { return result };
    if error.kind() != io::ErrorKind::PermissionDenied {
        return Err(error);
    }
    if service.args.has(Weakness::DeniedIsFatal) && refused(service, &error) >= PATIENCE {
        service.die(SpecimenError::Denied(errno::describe(&error)));
    }
    if service.args.has(Weakness::DropsDenied) {
        return Ok(T::default());
    }
    Err(error)
}

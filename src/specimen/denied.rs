//! What a refused permission means to the service: a problem with a name, which ends when somebody
//! mends it. Writes nothing itself.

use std::io;

use super::errno;
use super::serve::SpecimenError;
use super::service::Service;
use super::weakness::Weakness;

/// The result of touching the storage, as the rest of the service is to take it.
pub(super) fn settle<T: Default>(service: &Service, result: io::Result<T>) -> io::Result<T> {
    let Err(error) = result else { return result };
    if error.kind() != io::ErrorKind::PermissionDenied {
        return Err(error);
    }
    if service.args.has(Weakness::DeniedIsFatal) {
        service.die(SpecimenError::Denied(errno::describe(&error)));
    }
    if service.args.has(Weakness::DropsDenied) {
        return Ok(T::default());
    }
    Err(error)
}

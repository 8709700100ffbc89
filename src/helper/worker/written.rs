//! What a device has taken.

use super::{super::HelperError, place::init, throttle::disk};
use crate::{host::block_device, protocol::Place};

/// Bytes that the device beneath a path has taken since it is there; none where no single one is.
pub(super) fn bytes(place: &Place) -> Result<Option<u64>, HelperError> {
    let device = disk(init(place)?, &place.path)?;
    Ok(device.map(block_device::written).transpose()?)
}

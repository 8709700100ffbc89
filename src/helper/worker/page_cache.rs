//! What of a container's files is in the page cache: looked at, and dropped.

use super::{
    super::HelperError,
    context::Done,
    place::{init, inside},
};
use crate::{
    host::page_cache,
    protocol::{Outcome, PageFacts, Place},
};

/// What is resident.
pub(super) fn facts(place: &Place) -> Result<PageFacts, HelperError> {
    Ok(inside(init(place)?, &place.path, |here| page_cache::look(here.path))?)
}

/// Drops what is clean.
pub(super) fn drop_clean(place: &Place) -> Done {
    let files = inside(init(place)?, &place.path, |here| page_cache::drop_clean(here.path))?;
    Ok(if files > 0 { Outcome::Done } else { Outcome::Already })
}

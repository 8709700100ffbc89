//! The containers of the `testcontainers` crate, which runs and removes them; we only attach.

use testcontainers::{ContainerAsync, Image};

use super::{Attach, attach};

/// Attaches to a container of `testcontainers`.
///
/// To one of its blocking `Container`s, by its id: `attach(container.id())`.
///
/// ```no_run
/// use keelhaul::testing::{Http, Keelhaul as _, faults::ReadOnly};
/// use testcontainers::{GenericImage, runners::AsyncRunner as _};
///
/// # async fn test() -> Result<(), Box<dyn std::error::Error>> {
/// let container = GenericImage::new("my-service", "latest").start().await?;
/// let subject = container.keelhaul().await?;
/// let fault = subject.inject(ReadOnly::at("/data")).await?;
/// subject.expect(Http::get("/ready").status(503)).within("5s").await?;
/// fault.heal().await?;
/// subject.close().await?;
/// # Ok(())
/// # }
/// ```
pub trait Keelhaul {
    /// Attaches, when it is awaited. The subject must go before the container: declare it after.
    fn keelhaul(&self) -> Attach;
}

impl<I: Image> Keelhaul for ContainerAsync<I> {
    fn keelhaul(&self) -> Attach {
        attach(self.id())
    }
}

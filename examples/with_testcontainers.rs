//! The same on a container of the `testcontainers` crate: `cargo test --features testcontainers
//! --example with_testcontainers`.

fn main() -> Result<(), &'static str> {
    Err("a test: cargo test --features testcontainers --example with_testcontainers")
}

#[cfg(test)]
mod docker {
    use keelhaul::{
        runtime::{
            Docker, ImageRef, OWN_IMAGE, PullPolicy, Runtime as _, build_hash, take_program,
        },
        testing::{Http, Keelhaul as _, Write, faults::ReadOnly},
    };
    use testcontainers::{GenericImage, ImageExt as _, core::Mount, runners::AsyncRunner as _};

    /// The reference subject is in keelhaul's own image, which is made here, and pulled nowhere.
    async fn specimen() -> GenericImage {
        let beside = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("keelhaul");
        take_program(&beside).unwrap();
        let own = ImageRef { name: OWN_IMAGE.into(), pull: PullPolicy::Never };
        Docker::connect(None).unwrap().ensure_image(&own).await.unwrap();
        GenericImage::new(OWN_IMAGE, &build_hash().unwrap()[..16])
    }

    #[tokio::test]
    async fn a_container_of_testcontainers_is_hit_and_healed()
    -> Result<(), Box<dyn std::error::Error>> {
        let image = specimen().await.with_cmd(["specimen"]);
        let container = image.with_mount(Mount::tmpfs_mount("/data")).start().await?;

        let subject = container.keelhaul().await?;
        subject.expect(Http::get("/health")).within("30s").await?;
        let fault = subject.inject(ReadOnly::at("/data")).await?;
        subject.expect(Write::at("/data").with("fails", "EROFS")).await?;
        fault.heal().await?;
        subject.expect(Write::at("/data")).await?;
        subject.close().await?;
        Ok(())
    }
}

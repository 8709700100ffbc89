//! What a test of yours looks like: a container that runs already, a fault, what must hold under it,
//! and that nothing acknowledged is lost. Run it with `cargo test --example cargo_test`.

/// Attaches to the container that is named, and shows what a fault does to it.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use keelhaul::testing::{Write, attach, faults::ReadOnly};

    let words: Vec<String> = std::env::args().skip(1).collect();
    let [container, path] = words.as_slice() else {
        return Err("usage: cargo_test CONTAINER PATH".into());
    };
    let subject = attach(container).await?;
    let fault = subject.inject(ReadOnly::at(path)).await?;
    subject.expect(Write::at(path).with("fails", "EROFS")).await?;
    fault.heal().await?;
    subject.expect(Write::at(path)).await?;
    subject.close().await?;
    Ok(())
}

#[cfg(test)]
mod docker {
    use std::process::Command;

    use keelhaul::{
        runtime::{Docker, ImageRef, OWN_IMAGE, PullPolicy, Runtime as _, take_program},
        testing::{Http, attach, faults::IoError, faults::ReadOnly},
    };

    /// Yours comes from `docker compose up`, from `testcontainers`, or from anywhere.
    struct Service(String);

    impl Service {
        async fn start() -> Self {
            let image = specimen().await;
            let words = ["run", "--detach", "--tmpfs", "/data", &image, "specimen"];
            let started = Command::new("docker").args(words).output().unwrap();
            assert!(started.status.success(), "{started:?}");
            Self(String::from_utf8(started.stdout).unwrap().trim().to_owned())
        }
    }

    impl Drop for Service {
        fn drop(&mut self) {
            let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.0]).output();
        }
    }

    /// The reference subject is in keelhaul's own image, which is made here, and pulled nowhere.
    async fn specimen() -> String {
        let beside = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("keelhaul");
        take_program(&beside).unwrap();
        let own = ImageRef { name: OWN_IMAGE.into(), pull: PullPolicy::Never };
        Docker::connect(None).unwrap().ensure_image(&own).await.unwrap()
    }

    #[tokio::test]
    async fn no_acknowledged_record_is_lost_when_the_data_turns_read_only()
    -> Result<(), keelhaul::testing::Error> {
        let service = Service::start().await;
        let subject = attach(&service.0).await?;
        subject.expect(Http::get("/health")).within("30s").await?;
        let records = subject.ledger("http: { service: subject }").await?;
        records.acknowledged(20, "30s").await?;

        let fault = subject.inject(ReadOnly::at("/data")).await?;
        subject.expect_yaml("write: { service: subject, path: /data, fails: EROFS }").await?;
        fault.heal().await?;

        records.acknowledged(20, "60s").await?;
        records.judge().await?;
        let refused = subject.inject(IoError::at("/data").with("errno", "EFUN")).await;
        assert!(refused.is_err(), "such an errno does not exist");
        subject.close().await
    }
}

//! Looks into containers, whether they run or not, through the archives that the engine makes of
//! them. Starts nothing and changes nothing.

use std::{
    io::{self, Read},
    path::{Component, Path},
    time::Duration,
};

use bollard::{
    errors::Error,
    query_parameters::{ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptions},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tar::Archive;
use tokio::sync::mpsc;

use super::Docker;
use crate::runtime::{Hidden, Owned, Result, Runtime as _, State};

/// Bytes of an archive that hold its first header, with any extension before it.
const HEAD: usize = 64 << 10;
/// Bytes of a file that is read whole.
const LARGEST_FILE: usize = 1 << 20;
/// All of an image is read to find what a mount hides.
const WHOLE_LIMIT: Duration = Duration::from_secs(120);

impl Docker {
    /// Who owns what a path leads to, mounts included; none where nothing is there. Of a container
    /// that does not run, the engine makes missing directories of binds when it is asked this: see
    /// [`Choices::makes_binds`](crate::runtime::Choices::makes_binds).
    ///
    /// # Errors
    /// What the call came to.
    pub async fn owner_of(&self, container: &str, path: &str) -> Result<Option<Owned>> {
        let Some(head) = self.archive(container, path, HEAD).await? else { return Ok(None) };
        Ok(first_owner(&head))
    }

    /// A small file of a container; none where it is not there.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn small_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.archive(container, path, LARGEST_FILE).await? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        let mut archive = Archive::new(bytes.as_slice());
        let first = archive.entries().ok().and_then(|mut entries| entries.next()?.ok());
        let read = first.map(|mut entry| entry.read_to_end(&mut content));
        Ok(matches!(read, Some(Ok(_))).then_some(content))
    }

    /// Whether names have come or gone in a directory since the container was started. Yes, where
    /// that cannot be known: it does not run, or the engine does not say.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn changed_since_start(&self, container: &str, path: &str) -> Result<bool> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let call = self.call("looking into", "container", container);
        let looked = self.client.get_container_archive_info(container, Some(options));
        let changed = call.run(looked).await?.modification_time.unwrap_or_default();
        let facts = self.inspect(container).await?;
        let time = |text: &str| text.parse::<jiff::Timestamp>();
        Ok(match (time(&facts.started_at), time(&changed), facts.state) {
            (Ok(started), Ok(changed), State::Running) => changed >= started,
            _ => true,
        })
    }

    /// The beginning of the archive of a path; none where nothing is there.
    async fn archive(&self, container: &str, path: &str, most: usize) -> Result<Option<Vec<u8>>> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let call = self.call("looking into", "container", container);
        let read = async {
            let mut stream = self.client.download_from_container(container, Some(options));
            let mut bytes = Vec::new();
            while bytes.len() < most
                && let Some(chunk) = stream.next().await
            {
                match chunk {
                    Ok(chunk) => bytes.extend_from_slice(&chunk),
                    Err(Error::DockerResponseServerError { status_code: 404, message })
                        if !message.to_lowercase().contains("no such container") =>
                    {
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(Some(bytes))
        };
        call.run(read).await
    }

    /// The files of the container's own layers below each of these paths, which mounts there hide.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn hidden_below(&self, container: &str, paths: Vec<String>) -> Result<Vec<Hidden>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let (sender, receiver) = mpsc::channel::<Bytes>(4);
        let counted = tokio::task::spawn_blocking(move || count(Chunks::new(receiver), &paths));
        let call = self.call("reading the image of", "container", container).within(WHOLE_LIMIT);
        let read = async {
            let mut stream = self.client.export_container(container);
            while let Some(chunk) = stream.next().await {
                if sender.send(chunk?).await.is_err() {
                    break;
                }
            }
            drop(sender);
            Ok(())
        };
        call.run(read).await?;
        let counted = counted.await.map_err(io::Error::other).and_then(|counted| counted);
        counted.map_err(|error| call.refused(error.to_string()))
    }
}

fn first_owner(head: &[u8]) -> Option<Owned> {
    let mut archive = Archive::new(head);
    let entry = archive.entries().ok()?.next()?.ok()?;
    let header = entry.header();
    Some(Owned {
        uid: header.uid().ok()?,
        gid: header.gid().ok()?,
        mode: header.mode().ok()? & 0o7777,
        directory: header.entry_type().is_dir(),
    })
}

fn count(archive: impl Read, paths: &[String]) -> io::Result<Vec<Hidden>> {
    let mut found = vec![Hidden::default(); paths.len()];
    let roots: Vec<&Path> = paths.iter().map(|path| Path::new(path.trim_matches('/'))).collect();
    for entry in Archive::new(archive).entries()? {
        let entry = entry?;
        let path = entry.path()?;
        let path: std::path::PathBuf =
            path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        for (root, hidden) in roots.iter().zip(&mut found) {
            if path.starts_with(root) && path != **root {
                if hidden.files == 0 {
                    hidden.first = format!("/{}", path.display());
                }
                hidden.files += 1;
            }
        }
    }
    Ok(found)
}

/// What arrives, as a reader.
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Chunks {
    fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self { receiver, rest: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, u64)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, uid) in files {
            let mut header = tar::Header::new_gnu();
            let directory = path.ends_with('/');
            header.set_entry_type(if directory {
                tar::EntryType::Directory
            } else {
                tar::EntryType::Regular
            });
            header.set_uid(*uid);
            header.set_gid(7);
            header.set_mode(0o40750);
            header.set_size(0);
            tar.append_data(&mut header, path, io::empty()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn the_first_entry_tells_the_owner_also_when_the_archive_is_cut() {
        let bytes = archive(&[("data/", 1001), ("data/a", 0)]);
        let owned = Owned { uid: 1001, gid: 7, mode: 0o750, directory: true };
        assert_eq!(first_owner(&bytes[..600]), Some(owned));
        assert_eq!(first_owner(&[]), None);
    }

    #[test]
    fn files_below_a_path_are_hidden_and_directories_are_not_files() {
        let bytes = archive(&[("etc/", 0), ("etc/a", 0), ("etc/d/", 0), ("etcetera", 0)]);
        let found = count(bytes.as_slice(), &["/etc".into(), "/etc/d".into()]).unwrap();
        assert_eq!(found[0], Hidden { files: 1, first: "/etc/a".into() });
        assert_eq!(found[1], Hidden::default());
    }
}

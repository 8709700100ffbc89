//! Published versions: `releases/N.dat`, and the hard link `current.dat` to the newest.
//!
//! A link is identity only until something copies one of its names: a copy-up, a restore, a
//! rolling update. So identity and content are checked on every heartbeat and before every
//! publication, and repaired from what was published. Where links are refused, a copy does.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args::SpecimenArgs;
use super::console::Console;
use super::errno;
use super::journal::sync_dir;
use super::session::replace;
use super::weakness::Weakness;

/// Releases to keep.
const KEEP: u64 = 3;

/// What a release file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Release {
    version: u64,
    content: String,
}

/// A release as a reader of `current.dat` gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reading {
    /// As read through `current.dat`.
    pub(super) version: u64,
    pub(super) content: String,
    /// The version published last.
    pub(super) expected: u64,
    pub(super) nlink: u64,
    pub(super) inode_matches: bool,
    pub(super) stale: bool,
}

pub(super) struct Releases {
    console: Console,
    dir: PathBuf,
    current: PathBuf,
    trusting: bool,
    /// Gives up where links are refused.
    links_only: bool,
    published: Release,
    /// The release file that holds it.
    file: PathBuf,
    /// Whether `current.dat` could be made a link, rather than a copy.
    linked: bool,
}

impl Releases {
    /// Takes over what an earlier start published, when it is whole; publishes a first version
    /// otherwise.
    pub(super) fn open(args: &SpecimenArgs, console: Console) -> io::Result<Self> {
        let root = args.releases_root();
        let dir = root.join("releases");
        fs::create_dir_all(&dir)?;
        let current = root.join("current.dat");
        let last = numbers(&dir)?.into_iter().max().unwrap_or(0);
        let earlier = read(&current).or_else(|_| read(&dir.join(format!("{last}.dat"))));
        let earlier = earlier.unwrap_or(Release { version: last, content: "first release".into() });
        let mut releases = Self {
            console,
            file: dir.join(format!("{last}.dat")),
            dir,
            current,
            trusting: args.has(Weakness::TrustsLinkIdentity),
            links_only: args.has(Weakness::LinksOnly),
            published: Release { version: last.max(earlier.version), ..earlier },
            linked: true,
        };
        if last == 0 || releases.divergence().is_some() {
            releases.publish_anew(None)?;
        }
        Ok(releases)
    }

    /// Publishes the next version, with new content or the old. Returns what had diverged.
    pub(super) fn publish(&mut self, content: Option<String>) -> io::Result<Option<String>> {
        if self.trusting {
            return self.update_in_place(content).map(|()| None);
        }
        let diverged = self.verify()?;
        self.publish_anew(content)?;
        Ok(diverged)
    }

    /// Checks that `current.dat` is still what was published, and repairs it. Returns what was
    /// wrong.
    pub(super) fn verify(&mut self) -> io::Result<Option<String>> {
        let found = self.divergence();
        // Where nobody checks, nobody knows.
        let Some(what) = found.filter(|_| !self.trusting) else { return Ok(None) };
        if read(&self.file).ok().as_ref() != Some(&self.published) {
            replace(&self.file, &encode(&self.published)?)?;
        }
        self.point_current_here()?;
        Ok(Some(format!("hard link diverged: {what}")))
    }

    /// Reads the release the way everyone else does.
    pub(super) fn reading(&self) -> io::Result<Reading> {
        let Release { version, content } = read(&self.current)?;
        let expected = self.published.version;
        let nlink = fs::metadata(&self.current)?.nlink();
        let stale = version != expected;
        Ok(Reading { version, content, expected, nlink, inode_matches: self.same_inode()?, stale })
    }

    fn next(&self, content: Option<String>) -> Release {
        let content = content.unwrap_or_else(|| self.published.content.clone());
        Release { version: self.published.version + 1, content }
    }

    fn publish_anew(&mut self, content: Option<String>) -> io::Result<()> {
        let release = self.next(content);
        let file = self.dir.join(format!("{}.dat", release.version));
        replace(&file, &encode(&release)?)?;
        let before = (
            std::mem::replace(&mut self.file, file),
            std::mem::replace(&mut self.published, release),
        );
        if let Err(error) = self.point_current_here() {
            // Not published: what readers see is still the version before.
            let _ = fs::remove_file(&self.file);
            (self.file, self.published) = before;
            return Err(error);
        }
        self.retire();
        Ok(())
    }

    /// The weak way: whoever holds the other name is expected to see it.
    fn update_in_place(&mut self, content: Option<String>) -> io::Result<()> {
        let release = self.next(content);
        let mut file = File::create(&self.file)?;
        file.write_all(&encode(&release)?)?;
        file.sync_all()?;
        self.published = release;
        Ok(())
    }

    /// Makes `current.dat` another name of the release, or, where that is refused, a copy.
    fn point_current_here(&mut self) -> io::Result<()> {
        let temporary = self.current.with_extension("tmp");
        let _ = fs::remove_file(&temporary);
        match fs::hard_link(&self.file, &temporary) {
            Ok(()) => {
                self.linked = true;
                fs::rename(&temporary, &self.current)?;
                // Renaming one name of a file over another of the same file does nothing (POSIX).
                let _ = fs::remove_file(&temporary);
                sync_dir(&self.current)
            }
            Err(error) if is_refusal(&error) && !self.links_only => {
                if std::mem::replace(&mut self.linked, false) {
                    let why = errno::describe(&error);
                    self.console.say(format!("hard link refused: {why}; copying instead"));
                }
                replace(&self.current, &encode(&self.published)?)
            }
            Err(error) => Err(error),
        }
    }

    fn divergence(&self) -> Option<String> {
        let content = match read(&self.current) {
            Ok(release) if release == self.published => None,
            Ok(release) => {
                let (found, wanted) = (release.version, self.published.version);
                Some(format!("current.dat holds version {found} instead of {wanted}"))
            }
            Err(error) => Some(format!("current.dat cannot be read: {}", errno::describe(&error))),
        };
        content.or_else(|| match self.same_inode() {
            Ok(false) if self.linked => Some("current.dat is another file now".into()),
            Err(error) => Some(format!("the release is gone: {}", errno::describe(&error))),
            Ok(_) => None,
        })
    }

    fn same_inode(&self) -> io::Result<bool> {
        let (a, b) = (fs::metadata(&self.current)?, fs::metadata(&self.file)?);
        Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
    }

    /// Deletes releases that nobody needs any more. One that cannot go now goes next time.
    fn retire(&self) {
        let oldest = self.published.version.saturating_sub(KEEP - 1);
        let old = numbers(&self.dir).unwrap_or_default();
        for number in old.into_iter().filter(|number| *number < oldest) {
            let _ = fs::remove_file(self.dir.join(format!("{number}.dat")));
        }
    }
}

/// Whether links are not to be had here: across mounts, or by policy or filesystem.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EXDEV | libc::EPERM | libc::EMLINK | libc::EOPNOTSUPP)
    )
}

fn encode(release: &Release) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(release)?)
}

fn read(path: &Path) -> io::Result<Release> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        numbers
            .extend(name.to_str().and_then(|name| name.strip_suffix(".dat")?.parse::<u64>().ok()));
    }
    Ok(numbers)
}

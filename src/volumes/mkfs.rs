//! Makes a filesystem in a sparse file beside the command line, and collects what is not zero.
//!
//! Nothing of it is privileged, and nothing stays: the file is temporary. Only the blocks travel to
//! the engine's host, which may be another machine.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::{fs::SeekFrom as Extent, io::Errno};
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::VolumeError;

/// A mkfs on a sparse file takes well under a second; on a disk that is busy it may take more.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What is compared with zero at a time: no filesystem here has smaller reasons to be sparse.
const BLOCK: usize = 4096;

/// Longest extent returned.
const EXTENT: usize = 1 << 20;

/// Characters of the tool's words that are passed on.
const WORDS: usize = 2000;

/// A tool, and the package that brings it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    /// `mkfs.ext4`.
    pub(super) name: &'static str,
    /// Debian's, and mostly everyone's, name of the package.
    pub(super) package: &'static str,
}

/// Bytes at an offset; everything between extents is zero.
pub(super) type Extents = Vec<(u64, Vec<u8>)>;

/// Runs the tools one after the other, each with its arguments, on a fresh sparse file of this size,
/// and returns what they wrote.
pub(super) async fn run(tools: &[(Tool, Vec<String>)], size: u64) -> Result<Extents, VolumeError> {
    let name = tools.first().map_or("mkfs", |(tool, _)| tool.name);
    let failed = |detail: String| VolumeError::Tool { tool: name, detail };
    let image = sparse(size).map_err(|error| failed(format!("no temporary image: {error}")))?;
    for (tool, args) in tools {
        run_one(*tool, args, image.path()).await?;
    }
    let collected = tokio::task::spawn_blocking(move || collect(image.path())).await;
    collected
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(format!("its image cannot be read: {error}")))
}

async fn run_one(tool: Tool, args: &[String], image: &Path) -> Result<(), VolumeError> {
    let failed = |detail: String| VolumeError::Tool { tool: tool.name, detail };
    let program = find(tool.name).ok_or_else(|| {
        failed(format!("it is not installed\n\nhint: install the package `{}`", tool.package))
    })?;
    let output = Command::new(program)
        .args(args)
        .arg(image)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, output)
        .await
        .map_err(|_| failed(format!("it did not end within {} s", TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.replace(&*image.to_string_lossy(), "the image");
        return Err(failed(words.trim().chars().take(WORDS).collect()));
    }
    Ok(())
}

fn sparse(size: u64) -> io::Result<NamedTempFile> {
    let image = NamedTempFile::with_prefix("keelhaul-")?;
    image.as_file().set_len(size)?;
    Ok(image)
}

/// The tools live in `sbin`, which an ordinary user's `PATH` may not have.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(usual);
    places.find_map(|directory| Some(directory.join(name)).filter(|path| path.is_file()))
}

/// Every block that is not zero, neighbours joined.
fn collect(path: &Path) -> io::Result<Extents> {
    let mut file = File::open(path)?;
    let mut extents = Extents::new();
    let mut at = 0;
    while let Some((start, end)) = next_data(&file, at)? {
        let start = start - start % BLOCK as u64;
        file.seek(SeekFrom::Start(start))?;
        collect_range(&mut (&file).take(end - start), start, &mut extents)?;
        at = end;
    }
    Ok(extents)
}

/// The next range that may hold data. A filesystem without holes answers with all of the file.
fn next_data(file: &File, from: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match rustix::fs::seek(file, Extent::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some((start, rustix::fs::seek(file, Extent::Hole(start))?)))
}

fn collect_range(from: &mut impl io::Read, start: u64, extents: &mut Extents) -> io::Result<()> {
    let mut at = start;
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        from.take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        if block.iter().any(|byte| *byte != 0) {
            append(extents, at, &block);
        }
        at += block.len() as u64;
    }
}

fn append(extents: &mut Extents, at: u64, block: &[u8]) {
    match extents.last_mut() {
        Some((start, bytes))
            if *start + bytes.len() as u64 == at && bytes.len() + block.len() <= EXTENT =>
        {
            bytes.extend_from_slice(block);
        }
        _ => extents.push((at, block.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_blocks_that_are_not_zero_are_collected_and_neighbours_joined() {
        let mut image = sparse(1 << 20).unwrap();
        for at in [8192_u64, 12288, 500_000] {
            image.seek(SeekFrom::Start(at)).unwrap();
            image.write_all(b"x").unwrap();
        }
        let extents = collect(image.path()).unwrap();
        let shape: Vec<_> = extents.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
        assert_eq!(shape, [(8192, 8192), (499_712, 4096)]);
        assert_eq!(extents[1].1[500_000 - 499_712], b'x');
    }

    #[test]
    fn written_zeros_are_left_out() {
        let mut image = sparse(1 << 20).unwrap();
        image.write_all(&[0; 65536]).unwrap();
        assert!(collect(image.path()).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_missing_tool_names_its_package() {
        let tool = Tool { name: "mkfs.of-no-such-thing", package: "nothing-tools" };
        let error = run(&[(tool, Vec::new())], 1 << 20).await.unwrap_err().to_string();
        assert!(error.contains("not installed") && error.contains("`nothing-tools`"), "{error}");
    }
}

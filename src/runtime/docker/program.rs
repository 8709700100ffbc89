//! The executable that runs in our containers: its hash, and what it needs beside itself in an empty
//! image. It is the running one, unless that is a program of somebody's that only links this library.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::protocol;

/// The running executable, also after its file has been replaced or removed.
pub(super) const OURSELVES: &str = "/proc/self/exe";

/// The verb with which an executable says what it is.
const FACTS: &str = "helper-facts";

/// The executable in place of the running one, where there is one.
static OTHER: OnceLock<Program> = OnceLock::new();

/// What an executable of ours says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFacts {
    /// Version of the package.
    pub version: String,
    /// Version of the protocol between the helper and its client.
    pub protocol: u32,
    /// Hash of the executable.
    pub build: String,
    companions: Companions,
}

impl ProgramFacts {
    /// Of the running executable.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ours() -> io::Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: protocol::VERSION,
            build: own_hash()?.to_owned(),
            companions: Companions::of_ourselves()?,
        })
    }
}

/// Why an executable cannot serve as the helper.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It cannot be read or run.
    #[error("`{path}` cannot be run as keelhaul: {source}")]
    Unusable {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It runs, and does not say what keelhaul says.
    #[error("`{path}` is not keelhaul: it {said}")]
    NotKeelhaul {
        /// Its path.
        path: PathBuf,
        /// What it did instead.
        said: String,
    },
    /// It is keelhaul, of another version.
    #[error(
        "`{path}` is keelhaul {found} (protocol {protocol}), and this library is {ours} (protocol {})\n\nhint: `cargo install keelhaul --version {ours}`, or set KEELHAUL_BIN to the binary of this version",
        protocol::VERSION
    )]
    OtherVersion {
        /// Its path.
        path: PathBuf,
        /// Its version.
        found: String,
        /// Its protocol.
        protocol: u32,
        /// The library's version.
        ours: &'static str,
    },
    /// This process has taken another one before.
    #[error(
        "this process has taken another executable before\n\nhint: name the same one everywhere"
    )]
    Another,
}

/// An executable of ours that is not the running one. Its file stays open: what replaces it on disk
/// later is another.
#[derive(Debug)]
struct Program {
    facts: ProgramFacts,
    path: PathBuf,
    _file: File,
}

/// From now on this executable is what runs in our containers, in place of the running one; the same
/// one may be taken again.
///
/// # Errors
/// When it is not keelhaul of this version, or another was taken before.
pub fn take_program(path: &Path) -> Result<(), ProgramError> {
    let unusable = |source| ProgramError::Unusable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unusable)?;
    let pinned = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let ran = Command::new(&pinned).arg(FACTS).stdin(Stdio::null()).output().map_err(unusable)?;
    let refused = |said| ProgramError::NotKeelhaul { path: path.to_owned(), said };
    if !ran.status.success() {
        return Err(refused(format!("ended with {} when asked what it is", ran.status)));
    }
    let facts: ProgramFacts = serde_json::from_slice(&ran.stdout)
        .map_err(|_| refused("does not answer when asked what it is".to_owned()))?;
    let ours = env!("CARGO_PKG_VERSION");
    if (facts.version.as_str(), facts.protocol) != (ours, protocol::VERSION) {
        let (path, found) = (path.to_owned(), facts.version);
        return Err(ProgramError::OtherVersion { path, found, protocol: facts.protocol, ours });
    }
    let taken = OTHER.get_or_init(|| Program { facts: facts.clone(), path: pinned, _file: file });
    if taken.facts == facts { Ok(()) } else { Err(ProgramError::Another) }
}

/// The executable that runs in our containers.
#[must_use]
pub fn program() -> &'static Path {
    OTHER.get().map_or(Path::new(OURSELVES), |other| &other.path)
}

/// Hash of the executable that runs in our containers: 64 lowercase hexadecimal digits of its
/// SHA-256.
///
/// # Errors
/// When `/proc/self/exe` cannot be read.
pub fn build_hash() -> io::Result<&'static str> {
    OTHER.get().map_or_else(own_hash, |other| Ok(&other.facts.build))
}

/// Likewise of the running one. Read once.
fn own_hash() -> io::Result<&'static str> {
    static HASH: OnceLock<String> = OnceLock::new();
    if let Some(hash) = HASH.get() {
        return Ok(hash);
    }
    let mut file = File::open(OURSELVES)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
    }
    let text = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(HASH.get_or_init(|| text))
}

/// What a dynamic executable needs beside itself; empty for a static one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Companions {
    /// Path by which the kernel finds the loader.
    pub(super) interpreter: Option<PathBuf>,
    /// Shared objects, the loader among them, at the paths where they are mapped.
    pub(super) objects: BTreeSet<PathBuf>,
    /// Other names of the objects in their directories, with the file that each points to: a
    /// `libc.so.6` may be a link to `libc-2.31.so`, and the loader looks for the former.
    pub(super) links: BTreeSet<(PathBuf, PathBuf)>,
}

impl Companions {
    /// Of the executable that runs in our containers.
    pub(super) fn find() -> io::Result<Self> {
        OTHER.get().map_or_else(Self::of_ourselves, |other| Ok(other.facts.companions.clone()))
    }

    /// Of the running one.
    fn of_ourselves() -> io::Result<Self> {
        let Some(interpreter) = interpreter(&mut File::open(OURSELVES)?)? else {
            return Ok(Self::default());
        };
        let executable = std::fs::read_link(OURSELVES)?;
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let objects: BTreeSet<_> =
            mapped_code(&maps).filter(|path| *path != executable && path.is_file()).collect();
        let mut links = BTreeSet::new();
        for directory in
            objects.iter().filter_map(|object| object.parent()).collect::<BTreeSet<_>>()
        {
            links.extend(links_to(directory, &objects)?);
        }
        Ok(Self { interpreter: Some(interpreter), objects, links })
    }

    /// Directories that hold the objects.
    pub(super) fn directories(&self) -> BTreeSet<&Path> {
        self.objects.iter().filter_map(|object| object.parent()).collect()
    }
}

/// Files that are mapped executable.
fn mapped_code(maps: &str) -> impl Iterator<Item = PathBuf> {
    maps.lines().filter_map(|line| {
        // address permissions offset device inode path; the path may hold blanks
        let permissions = line.split_whitespace().nth(1)?;
        let path = line.get(line.find('/')?..)?;
        (permissions.contains('x') && !path.ends_with(" (deleted)")).then(|| PathBuf::from(path))
    })
}

fn links_to(directory: &Path, objects: &BTreeSet<PathBuf>) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_symlink() {
            continue;
        }
        let path = entry.path();
        if let Ok(file) = path.canonicalize()
            && objects.contains(&file)
        {
            found.push((path, file));
        }
    }
    Ok(found)
}

/// The loader's path out of an ELF file's `PT_INTERP` header; none in a static file. 64 bit and
/// the machine's own byte order: it is read from our own file only.
fn interpreter(file: &mut (impl Read + Seek)) -> io::Result<Option<PathBuf>> {
    const PT_INTERP: u32 = 3;
    let mut header = [0; 64];
    file.read_exact(&mut header)?;
    if !header.starts_with(b"\x7fELF\x02") {
        return Ok(None);
    }
    let offset = number(&header, 32, 8);
    let (size, count) = (number(&header, 54, 2), number(&header, 56, 2));
    for index in 0..count {
        file.seek(SeekFrom::Start(offset + index * size))?;
        let mut program = [0; 56];
        file.read_exact(&mut program)?;
        if number(&program, 0, 4) != u64::from(PT_INTERP) {
            continue;
        }
        file.seek(SeekFrom::Start(number(&program, 8, 8)))?;
        let mut path = Vec::new();
        file.take(number(&program, 32, 8).min(4096)).read_to_end(&mut path)?;
        let text = String::from_utf8_lossy(&path);
        return Ok(Some(PathBuf::from(text.trim_end_matches('\0'))));
    }
    Ok(None)
}

/// A number of `length` bytes at `at`.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let mut value = [0; 8];
    let place = if cfg!(target_endian = "big") { 8 - length..8 } else { 0..length };
    value[place].copy_from_slice(&bytes[at..at + length]);
    u64::from_ne_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_file() {
        let bytes = std::fs::read(OURSELVES).unwrap();
        let expected: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(build_hash().unwrap(), expected);
    }

    #[test]
    fn what_is_not_keelhaul_is_refused_by_name() {
        let missing = take_program(Path::new("/no/such/keelhaul")).unwrap_err().to_string();
        assert!(missing.starts_with("`/no/such/keelhaul` cannot be run as keelhaul"), "{missing}");
        let other = take_program(Path::new("/bin/true")).unwrap_err().to_string();
        assert!(other.starts_with("`/bin/true` is not keelhaul: it does not answer"), "{other}");
        let other = take_program(Path::new("/bin/false")).unwrap_err().to_string();
        assert!(other.starts_with("`/bin/false` is not keelhaul: it ended with"), "{other}");
        assert_eq!(program(), Path::new(OURSELVES));
    }

    #[test]
    fn facts_survive_the_way_from_one_process_to_another() {
        let ours = ProgramFacts::ours().unwrap();
        let read: ProgramFacts =
            serde_json::from_slice(&serde_json::to_vec(&ours).unwrap()).unwrap();
        assert_eq!(read, ours);
    }

    #[test]
    fn only_mapped_code_counts() {
        let maps = "\
7f00-7f01 r--p 00000000 fe:00 12 /usr/lib/libc.so.6
7f01-7f02 r-xp 00001000 fe:00 12 /usr/lib/libc.so.6
7f03-7f04 r-xp 00000000 fe:00 13 /opt/with blank/libm.so.6
7f05-7f06 r--s 00000000 fe:00 14 /usr/lib/locale/C.utf8
7f07-7f08 r-xp 00000000 fe:00 15 /usr/lib/old.so (deleted)
7f09-7f0a r-xp 00000000 00:00 0  [vdso]
7f0b-7f0c rwxp 00000000 00:00 0
";
        let found: Vec<_> = mapped_code(maps).collect();
        assert_eq!(
            found,
            [PathBuf::from("/usr/lib/libc.so.6"), PathBuf::from("/opt/with blank/libm.so.6")]
        );
    }

    #[test]
    fn a_dynamic_executable_brings_its_loader() {
        let found = Companions::find().unwrap();
        match &found.interpreter {
            Some(loader) => {
                assert!(loader.is_absolute() && loader.exists(), "{}", loader.display());
                let real = loader.canonicalize().unwrap();
                assert!(found.objects.contains(&real), "{found:?}");
            }
            None => assert_eq!(found, Companions::default()),
        }
    }

    #[test]
    fn a_static_executable_has_no_loader() {
        let mut elf = vec![0; 64 + 56];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        let mut put = |at: usize, value: u64, length: usize| {
            let bytes = value.to_ne_bytes();
            let from = if cfg!(target_endian = "big") { 8 - length } else { 0 };
            elf[at..at + length].copy_from_slice(&bytes[from..from + length]);
        };
        put(32, 64, 8);
        put(54, 56, 2);
        put(56, 1, 2);
        put(64, 2, 4);
        put(64 + 8, 120, 8);
        put(64 + 32, 7, 8);
        let mut dynamic = elf.clone();
        assert_eq!(interpreter(&mut io::Cursor::new(elf)).unwrap(), None);
        dynamic[64..68].copy_from_slice(&3_u32.to_ne_bytes());
        dynamic.extend(b"/ld.so\0rest");
        let found = interpreter(&mut io::Cursor::new(dynamic)).unwrap();
        assert_eq!(found, Some(PathBuf::from("/ld.so")));
    }
}

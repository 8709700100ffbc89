//! Loop devices, told apart by the file behind them and never by their number.
//!
//! A number is reused as soon as a device is detached: an undo that remembers `/dev/loop3` would
//! hit somebody else's. The device and inode of the backing file are read back from the kernel
//! (`LOOP_GET_STATUS64`) before anything is detached. This file makes no device node: it is told
//! the directory where they are.
#![expect(unsafe_code, reason = "loop ioctls have no wrapper in rustix, nix or libc")]

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstat, open, stat};
use rustix::ioctl::{NoArg, Opcode, Setter, Updater, ioctl};
use serde::{Deserialize, Serialize};

use super::errno::Errno;
use super::error::{Context, HostError, HostResult};

// linux/loop.h
const LOOP_CLR_FD: Opcode = 0x4C01;
const LOOP_GET_STATUS64: Opcode = 0x4C05;
const LOOP_CONFIGURE: Opcode = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
/// linux/fs.h
const BLKFLSBUF: Opcode = 0x1261;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// Times that another device is asked for when someone else takes the free one first.
const ATTEMPTS: usize = 64;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo64 {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

/// The file behind a loop device: what identifies the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backing {
    /// `st_dev` of the file.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
}

impl Backing {
    /// The identity of a file.
    ///
    /// # Errors
    /// The failed call.
    pub fn of(file: &Path) -> HostResult<Self> {
        let stat = stat(file).op("stat", file)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// How a file is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachOptions {
    /// Logical block size in bytes, a power of two from 512 to the page size; `None` lets the
    /// kernel choose.
    pub block_size: Option<u32>,
    /// Bypass the page cache of the file system that holds the file. Where that cannot be done the
    /// kernel may use the cache all the same: see [`Attached::direct_io`].
    pub direct_io: bool,
    /// No writes.
    pub read_only: bool,
    /// The kernel detaches it after its last user (such as a mount) has gone.
    pub autoclear: bool,
}

/// An attached loop device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its device node in the directory that was given.
    pub node: PathBuf,
    /// Its number now.
    pub number: u32,
    /// The file behind it.
    pub backing: Backing,
    /// The name that whoever attached it gave it; empty without one.
    pub mark: String,
    /// That file's path as the kernel knows it, from sysfs; ends in ` (deleted)` if it was removed.
    /// `None` when sysfs does not show it.
    pub file: Option<PathBuf>,
    /// Whether it bypasses the page cache.
    pub direct_io: bool,
}

/// Attaches `file` to a free loop device.
///
/// `nodes` is the directory with `loop-control` and the device nodes: `/dev`, or where the host's
/// is mounted. Asked for again when someone else takes the free device first (`EBUSY`).
///
/// # Errors
/// The failed call; `ENOENT` when `nodes` has no node for the device, `EBUSY` after many attempts.
pub fn attach(nodes: &Path, file: &Path, options: AttachOptions) -> HostResult<Attached> {
    attach_marked(nodes, file, options, "")
}

/// Likewise, with a name by which [`find_marked`] finds the device when the file cannot be found:
/// 63 bytes of it are kept.
///
/// # Errors
/// As [`attach`].
pub fn attach_marked(
    nodes: &Path,
    file: &Path,
    options: AttachOptions,
    mark: &str,
) -> HostResult<Attached> {
    let access = if options.read_only { OFlags::RDONLY } else { OFlags::RDWR };
    let backing = open(file, access | OFlags::CLOEXEC, Mode::empty()).op("open", file)?;
    let stat = fstat(&backing).op("stat", file)?;
    let identity = Backing { device: stat.st_dev, inode: stat.st_ino };
    let control_path = nodes.join("loop-control");
    let control = open_rw(&control_path)?;
    for _ in 0..ATTEMPTS {
        let number = free_number(&control).op("LOOP_CTL_GET_FREE", &control_path)?;
        let node = nodes.join(format!("loop{number}"));
        let device = open_rw(&node)?;
        match configure(&device, &backing, options, mark) {
            Ok(()) => {}
            Err(rustix::io::Errno::BUSY) => continue,
            Err(e) => return Err(HostError::sys("LOOP_CONFIGURE", node, e)),
        }
        return match status(&device).op("LOOP_GET_STATUS64", &node)? {
            Some(info) if identity_of(&info) == identity => Ok(attached(node, number, &info)),
            _ => Err(HostError::NotOurs { path: node, detail: "detached meanwhile".to_owned() }),
        };
    }
    Err(HostError::sys("LOOP_CONFIGURE", control_path, Errno(libc::EBUSY)))
}

/// Every attached loop device that has a node in `nodes`, by number.
///
/// # Errors
/// The failed call, except for devices that are detached meanwhile.
pub fn list(nodes: &Path) -> HostResult<Vec<Attached>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(nodes).op("readdir", nodes)? {
        let name = entry.op("readdir", nodes)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop")?.parse().ok());
        let Some(number) = number else { continue };
        let node = nodes.join(&name);
        // O_RDONLY: opening for writing would make udev probe every device
        let device = match open(&node, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(device) => device,
            Err(rustix::io::Errno::NXIO | rustix::io::Errno::NOENT) => continue,
            Err(e) => return Err(HostError::sys("open", node, e)),
        };
        if let Some(info) = status(&device).op("LOOP_GET_STATUS64", &node)? {
            found.push(attached(node, number, &info));
        }
    }
    found.sort_unstable_by_key(|device| device.number);
    Ok(found)
}

/// The devices that this file is attached to.
///
/// # Errors
/// As [`list`].
pub fn find(nodes: &Path, backing: Backing) -> HostResult<Vec<Attached>> {
    let mut devices = list(nodes)?;
    devices.retain(|device| device.backing == backing);
    Ok(devices)
}

/// The devices that were attached with this name, by number. A name is no identity: callers give
/// names that are unique to a run.
///
/// # Errors
/// As [`list`].
pub fn find_marked(nodes: &Path, mark: &str) -> HostResult<Vec<Attached>> {
    let mut devices = list(nodes)?;
    devices.retain(|device| !mark.is_empty() && device.mark.as_bytes() == short(mark));
    Ok(devices)
}

/// Takes a device for us alone: nobody can mount it meanwhile. None while somebody has it mounted.
/// What the kernel has cached of it is dropped.
///
/// # Errors
/// The failed call.
pub fn claim(node: &Path) -> HostResult<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    let device = match open(node, flags, Mode::empty()) {
        Ok(device) => device,
        Err(rustix::io::Errno::BUSY) => return Ok(None),
        Err(e) => return Err(HostError::sys("open", node, e)),
    };
    drop_cached(&device, node)?;
    Ok(Some(device))
}

/// Drops what the kernel has cached of a device. `node` is said in the error.
///
/// # Errors
/// The failed call.
pub fn drop_cached(device: &OwnedFd, node: &Path) -> HostResult<()> {
    // SAFETY: BLKFLSBUF takes no argument.
    unsafe { ioctl(device, NoArg::<BLKFLSBUF>::new()) }.op("BLKFLSBUF", node)
}

/// Detaches every loop device of this file; returns how many, `0` when there is none.
///
/// A device still in use (mounted) is detached by the kernel when its last user has gone.
///
/// # Errors
/// The failed call. Devices of other files are never touched.
pub fn detach(nodes: &Path, backing: Backing) -> HostResult<usize> {
    let mut detached = 0;
    for device in find(nodes, backing)? {
        let fd = open(&device.node, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .op("open", &device.node)?;
        // again, now that the descriptor pins the device's number
        let still = status(&fd).op("LOOP_GET_STATUS64", &device.node)?;
        if still.is_none_or(|info| identity_of(&info) != backing) {
            continue;
        }
        // SAFETY: LOOP_CLR_FD takes no argument.
        match unsafe { ioctl(&fd, NoArg::<LOOP_CLR_FD>::new()) } {
            Ok(()) => detached += 1,
            Err(rustix::io::Errno::NXIO) => {}
            Err(e) => return Err(HostError::sys("LOOP_CLR_FD", device.node, e)),
        }
    }
    Ok(detached)
}

/// What of a name the kernel keeps; its last byte is always zero.
fn short(mark: &str) -> &[u8] {
    let bytes = mark.as_bytes();
    &bytes[..bytes.len().min(63)]
}

fn open_rw(path: &Path) -> HostResult<OwnedFd> {
    open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).op("open", path)
}

fn free_number(control: &OwnedFd) -> Result<u32, rustix::io::Errno> {
    // SAFETY: the descriptor is open; LOOP_CTL_GET_FREE takes no argument and returns a number.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
    u32::try_from(number).map_err(|_| {
        let errno = std::io::Error::last_os_error();
        rustix::io::Errno::from_io_error(&errno).unwrap_or(rustix::io::Errno::IO)
    })
}

fn configure(
    device: &OwnedFd,
    backing: &OwnedFd,
    options: AttachOptions,
    mark: &str,
) -> Result<(), rustix::io::Errno> {
    let mut info = EMPTY;
    let kept = short(mark);
    info.file_name[..kept.len()].copy_from_slice(kept);
    for (wanted, flag) in [
        (options.read_only, LO_FLAGS_READ_ONLY),
        (options.autoclear, LO_FLAGS_AUTOCLEAR),
        (options.direct_io, LO_FLAGS_DIRECT_IO),
    ] {
        info.flags |= if wanted { flag } else { 0 };
    }
    let config = LoopConfig {
        fd: backing.as_raw_fd().cast_unsigned(),
        block_size: options.block_size.unwrap_or(0),
        info,
        reserved: [0; 8],
    };
    // SAFETY: LOOP_CONFIGURE reads a `struct loop_config`, whose layout `LoopConfig` has.
    unsafe { ioctl(device, Setter::<LOOP_CONFIGURE, LoopConfig>::new(config)) }
}

/// `None` when nothing is attached.
fn status(device: &OwnedFd) -> Result<Option<LoopInfo64>, rustix::io::Errno> {
    let mut info = EMPTY;
    // SAFETY: LOOP_GET_STATUS64 writes a `struct loop_info64`, whose layout `LoopInfo64` has.
    let result = unsafe { ioctl(device, Updater::<LOOP_GET_STATUS64, LoopInfo64>::new(&mut info)) };
    match result {
        Ok(()) => Ok(Some(info)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(e) => Err(e),
    }
}

fn identity_of(info: &LoopInfo64) -> Backing {
    Backing { device: info.device, inode: info.inode }
}

fn attached(node: PathBuf, number: u32, info: &LoopInfo64) -> Attached {
    let shown = fs::read(format!("/sys/block/loop{number}/loop/backing_file")).ok();
    Attached {
        node,
        number,
        backing: identity_of(info),
        mark: {
            let end = info.file_name.iter().position(|byte| *byte == 0).unwrap_or(64);
            String::from_utf8_lossy(&info.file_name[..end]).into_owned()
        },
        file: shown.map(|text| {
            use std::os::unix::ffi::OsStrExt as _;
            std::ffi::OsStr::from_bytes(text.strip_suffix(b"\n").unwrap_or(&text)).into()
        }),
        direct_io: info.flags & LO_FLAGS_DIRECT_IO != 0,
    }
}

const EMPTY: LoopInfo64 = LoopInfo64 {
    device: 0,
    inode: 0,
    rdevice: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encrypt_type: 0,
    encrypt_key_size: 0,
    flags: 0,
    file_name: [0; 64],
    crypt_name: [0; 64],
    encrypt_key: [0; 32],
    init: [0; 2],
};

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::host::testing::root_or_skip;

    const DEV: &str = "/dev";

    fn image(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_file_is_attached_found_by_identity_and_detached_once() {
        if !root_or_skip() {
            return;
        }
        let (dev, file) = (Path::new(DEV), image(&[7; 1 << 20]));
        let backing = Backing::of(file.path()).unwrap();
        let options = AttachOptions { block_size: Some(4096), ..AttachOptions::default() };
        let device = attach(dev, file.path(), options).unwrap();
        let mut first = [0; 16];
        fs::File::open(&device.node).unwrap().read_exact(&mut first).unwrap();
        assert_eq!(first, [7; 16]);
        assert_eq!(device.file.as_deref(), Some(file.path()));
        assert_eq!(find(dev, backing).unwrap(), [device]);
        let other = image(&[0; 4096]);
        assert_eq!(detach(dev, Backing::of(other.path()).unwrap()).unwrap(), 0);
        assert_eq!(detach(dev, backing).unwrap(), 1);
        assert_eq!(detach(dev, backing).unwrap(), 0);
        assert!(find(dev, backing).unwrap().is_empty());
    }

    #[test]
    fn attaching_side_by_side_gives_each_its_own_device() {
        if !root_or_skip() {
            return;
        }
        let dev = Path::new(DEV);
        let files: Vec<_> = (0..4).map(|_| image(&[1; 1 << 16])).collect();
        let attach_one = |file: &tempfile::NamedTempFile| {
            attach(dev, file.path(), AttachOptions::default()).unwrap().number
        };
        let mut numbers: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = files.iter().map(|f| scope.spawn(|| attach_one(f))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for file in &files {
            assert_eq!(detach(dev, Backing::of(file.path()).unwrap()).unwrap(), 1);
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), files.len());
    }

    #[test]
    fn a_device_is_found_by_its_name_and_taken_by_one_alone() {
        if !root_or_skip() {
            return;
        }
        let (dev, file) = (Path::new(DEV), image(&[7; 1 << 16]));
        // names of which the kernel keeps the first 63 bytes
        let name = format!("kh-{}-{}", std::process::id(), "x".repeat(70));
        let options = AttachOptions::default();
        let device = attach_marked(dev, file.path(), options, &name).unwrap();
        let found = find_marked(dev, &name).unwrap();
        let claimed = claim(&device.node).unwrap();
        let refused = claim(&device.node).unwrap();
        let (was_claimed, was_refused) = (claimed.is_some(), refused.is_none());
        drop(claimed);
        let again = claim(&device.node).unwrap().is_some();
        detach(dev, device.backing).unwrap();
        assert_eq!(found, [device]);
        assert!(was_claimed && was_refused && again);
        // whoever looks for devices has each open for a moment, and the last to close one frees it
        let patience = Instant::now() + Duration::from_secs(10);
        while !find_marked(dev, &name).unwrap().is_empty() {
            assert!(Instant::now() < patience, "it is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(find_marked(dev, "").unwrap().is_empty());
    }

    #[test]
    fn a_read_only_device_refuses_writers_and_a_missing_directory_is_an_error() {
        if !root_or_skip() {
            return;
        }
        let (dev, file) = (Path::new(DEV), image(&[7; 1 << 16]));
        let options = AttachOptions { read_only: true, ..AttachOptions::default() };
        let device = attach(dev, file.path(), options).unwrap();
        let written = fs::write(&device.node, "x");
        detach(dev, device.backing).unwrap();
        assert!(written.is_err());
        assert!(attach(Path::new("/none"), file.path(), options).unwrap_err().is(libc::ENOENT));
    }
}

//! What is agreed with the kernel at the beginning.

use fuser::{InitFlags, KernelConfig};

/// Bytes of a write or a read at a time: what the kernel takes at most by default.
const MOST_BYTES: u32 = 1 << 20;
/// Requests in the background, such as reads ahead, that the kernel has waiting at a time.
const BACKGROUND: u16 = 64;
/// Filesystems that may be stacked, beneath and with us, for the kernel to read by itself.
const STACKED: u32 = 2;

/// What we ask of the kernel, where it has it.
const WANTED: InitFlags = InitFlags::FUSE_PARALLEL_DIROPS
    .union(InitFlags::FUSE_ASYNC_DIO)
    .union(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP)
    .union(InitFlags::FUSE_DONT_MASK)
    // or it asks for an attribute (`security.capability`) before every write, also of what it moves by
    // itself; the set-id bits that a write takes away are ours then
    .union(InitFlags::FUSE_HANDLE_KILLPRIV_V2)
    .union(InitFlags::FUSE_POSIX_ACL)
    .union(InitFlags::FUSE_PASSTHROUGH);

/// Asks for all that there is of it.
pub(super) fn agree(config: &mut KernelConfig) {
    if let Err(missing) = config.add_capabilities(WANTED) {
        let _ = config.add_capabilities(WANTED & !missing);
    }
    let _ = config.set_max_write(MOST_BYTES);
    let _ = config.set_max_background(BACKGROUND);
    let _ = config.set_max_stack_depth(STACKED);
}

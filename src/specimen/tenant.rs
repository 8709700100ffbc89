//! Another tenant of the volume: what it leaves behind is not the service's to free.
//!
//! `keelhaul specimen tenant`. It survives nothing and promises nothing: it is what services live
//! beside. Files that it has left have a second name, so deleting one name frees no inode; files
//! that it holds open have no name at all, so there is nothing to delete until it ends.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
};

use rustix::fs::{FallocateFlags, fallocate};

use super::backup::JobError;
use super::console::Console;

/// `tenant`
#[derive(Debug, Clone, clap::Args)]
pub struct TenantArgs {
    /// Its directory on the volume
    #[arg(long, value_name = "DIR", default_value = "/data/tenant")]
    pub dir: PathBuf,

    /// Files to leave behind at each start, each with a second name
    #[arg(long, value_name = "FILES", default_value_t = 0)]
    pub linked: u32,

    /// Files to delete and hold open until it is stopped
    #[arg(long, value_name = "FILES", default_value_t = 0)]
    pub open: u32,

    /// Bytes to set aside at each start, as in `1GiB`
    #[arg(long, value_name = "SIZE")]
    pub bytes: Option<bytesize::ByteSize>,

    /// End once they are left behind
    #[arg(long)]
    pub once: bool,

    /// Delete what was left behind, and end
    #[arg(long)]
    pub forget: bool,
}

/// Leaves things behind until its process ends.
pub(super) fn live(args: &TenantArgs, console: &Console) -> Result<String, JobError> {
    if args.forget {
        return match fs::remove_dir_all(&args.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(JobError::io("remove", &args.dir)(error))
            }
            _ => Ok("nothing is left".into()),
        };
    }
    let left = leave(args).map_err(JobError::io("fill", &args.dir))?;
    let (linked, open) = (args.linked, left.len());
    let said = format!("{linked} files left behind, {open} held open");
    if args.once {
        return Ok(said);
    }
    console.say(format!("tenant: {said}"));
    loop {
        thread::park();
    }
}

/// Each start has a directory of its own. Returns what is held open.
fn leave(args: &TenantArgs) -> io::Result<Vec<File>> {
    fs::create_dir_all(&args.dir)?;
    let starts = fs::read_dir(&args.dir)?.count();
    let dir = args.dir.join(format!("start-{starts}"));
    fs::create_dir(&dir)?;
    for number in 0..args.linked {
        let first = dir.join(number.to_string());
        File::create_new(&first)?;
        fs::hard_link(&first, dir.join(format!("{number}-again")))?;
    }
    if let Some(bytes) = args.bytes {
        fallocate(File::create_new(dir.join("bytes"))?, FallocateFlags::empty(), 0, bytes.0)?;
    }
    (0..args.open).map(|number| without_a_name(&dir.join(format!("open-{number}")))).collect()
}

fn without_a_name(path: &Path) -> io::Result<File> {
    let file = File::create_new(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn every_start_leaves_files_of_two_names_and_holds_some_of_none() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("tenant");
        let bytes = Some(bytesize::ByteSize::kib(64));
        let args =
            TenantArgs { dir: dir.clone(), linked: 3, open: 2, bytes, once: true, forget: false };
        for start in 0..2 {
            let held = leave(&args).unwrap();
            assert!(held.len() == 2 && held.iter().all(|it| it.metadata().unwrap().nlink() == 0));
            let of_start = dir.join(format!("start-{start}"));
            assert_eq!(fs::read_dir(&of_start).unwrap().count(), 7);
            assert_eq!(fs::metadata(of_start.join("2")).unwrap().nlink(), 2);
            assert_eq!(fs::metadata(of_start.join("bytes")).unwrap().len(), 65536);
        }
        let forget = TenantArgs { forget: true, ..args.clone() };
        let console = Console::new(io::sink());
        assert!(live(&forget, &console).is_ok() && !dir.exists());
        assert!(live(&forget, &console).is_ok(), "nothing to forget is no failure");
        assert_eq!(live(&args, &console).unwrap(), "3 files left behind, 2 held open");
    }
}

//! The subject: found again for every command, entered, left.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use crate::host::{
    container_process::container_init, errno::Errno, error::HostError, namespace::in_all_ns,
    process::Identity,
};

/// A subject's container.
#[derive(Debug)]
pub(super) struct Target {
    /// Its id.
    pub(super) container: String,
    /// What the scenario calls it.
    pub(super) service: String,
}

impl Target {
    /// The first process of the container as it runs now.
    ///
    /// # Errors
    /// In words, when it does not run.
    pub(super) fn init(&self) -> Result<Identity, String> {
        match container_init(&self.container, None) {
            Ok(Some(init)) => Ok(init),
            Ok(None) | Err(HostError::Gone { .. }) => {
                Err(format!("service `{}` does not run at the moment", self.service))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Does `work` in all namespaces of the subject but its user namespace.
    ///
    /// # Errors
    /// In words, when the subject does not run or cannot be entered.
    pub(super) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, String> {
        let init = self.init()?;
        in_all_ns(init, work).map_err(|error| match error {
            HostError::Gone { .. } => format!("service `{}` has just ended", self.service),
            other => other.to_string(),
        })
    }

    /// A field of `/proc/<pid>/status` of its first process.
    ///
    /// # Errors
    /// In words, when the subject does not run.
    pub(super) fn status(&self) -> Result<String, String> {
        let path = self.init()?.proc_path("status");
        fs::read_to_string(&path).map_err(|error| said(&path, &error))
    }
}

/// The value of a field of a `status` file.
pub(super) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// A path as typed, below the directory we are in, without `.` and `..`.
pub(super) fn absolute(cwd: &Path, typed: &str) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in cwd.join(typed).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// An error with its path and the name of its number.
pub(super) fn said(path: &Path, error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{}: {}", path.display(), Errno(number)),
        None => format!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_paths_are_below_the_directory_and_never_above_the_root() {
        let at = |cwd: &str, typed: &str| absolute(Path::new(cwd), typed).display().to_string();
        assert_eq!(at("/data", "logs/../x"), "/data/x");
        assert_eq!(at("/data", "/etc/./a"), "/etc/a");
        assert_eq!(at("/data", "../../.."), "/");
    }

    #[test]
    fn fields_of_a_status_file() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nUidx:\t9\n";
        assert_eq!(field(status, "Uid"), Some("1\t2\t3\t4"));
        assert_eq!(field(status, "Gid"), None);
    }
}

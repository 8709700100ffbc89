//! What is checked out in the working directory: read from git's files, or told by a CI system.
//!
//! Runs no git. What is changed and not committed does not show.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::run::Commit;

/// Where CI systems say it, for a checkout without git's own files.
const VARIABLES: [&str; 7] = [
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "GIT_COMMIT",
    "BUILDKITE_COMMIT",
    "CIRCLE_SHA1",
    "BITBUCKET_COMMIT",
    "BUILD_SOURCEVERSION",
];

/// Bytes of a file of git's that are read; packed references have a line for each branch and tag.
const LONGEST: u64 = 16 << 20;

/// The commit of a directory, or of the build.
pub(super) fn of(directory: &Path, variable: impl Fn(&str) -> Option<String>) -> Option<Commit> {
    let told = |name: &str| {
        let id = variable(name).filter(|text| is_id(text))?;
        Some(Commit { id, from: name.to_owned() })
    };
    let git = head(directory).map(|id| Commit { id, from: "git".into() });
    git.or_else(|| VARIABLES.into_iter().find_map(told))
}

fn head(directory: &Path) -> Option<String> {
    let git = directory.ancestors().find_map(git_directory)?;
    let head = text(&git.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else { return Some(head).filter(|it| is_id(it)) };
    // a work tree has its own HEAD, and shares the references
    let common = text(&git.join("commondir")).map_or_else(|| git.clone(), |path| git.join(path));
    // a name cannot lead out of it
    let plain = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    let loose = plain.then(|| [&git, &common].into_iter().find_map(|at| text(&at.join(name))));
    let loose = loose.flatten().filter(|it| is_id(it));
    loose.or_else(|| packed(&text(&common.join("packed-refs"))?, name))
}

/// `.git` is a directory, or a file that names one.
fn git_directory(at: &Path) -> Option<PathBuf> {
    let git = at.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    text(&git)?.strip_prefix("gitdir: ").map(|path| at.join(path))
}

fn packed(all: &str, name: &str) -> Option<String> {
    let mut lines = all.lines().filter_map(|line| line.split_once(' '));
    let (id, _) = lines.find(|(id, called)| *called == name && is_id(id))?;
    Some(id.to_owned())
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A regular file's text without its last newline.
fn text(path: &Path) -> Option<String> {
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut text = String::new();
    File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef01234567";
    const B: &str = "89abcdef0123456789abcdef0123456701234567";

    fn git_of(directory: &Path) -> Option<String> {
        of(directory, |_| None).map(|commit| commit.id)
    }

    #[test]
    fn a_branch_a_packed_branch_a_detached_head_and_a_work_tree_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let (root, inside) = (dir.path(), dir.path().join("deep/er"));
        let write = |path: &str, text: &str| {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        };
        fs::create_dir_all(&inside).unwrap();
        assert_eq!(git_of(root.join(".git").as_path()), None);
        write(".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(git_of(&inside), None, "no commit yet");
        write(".git/packed-refs", &format!("# pack-refs\n{B} refs/heads/main\n"));
        assert_eq!(git_of(&inside).as_deref(), Some(B));
        write(".git/refs/heads/main", &format!("{A}\n"));
        assert_eq!(git_of(&inside).as_deref(), Some(A), "the loose one is newer");
        write(".git/worktrees/w/HEAD", "ref: refs/heads/main\n");
        write(".git/worktrees/w/commondir", "../..\n");
        write("w/.git", &format!("gitdir: {}\n", root.join(".git/worktrees/w").display()));
        assert_eq!(git_of(&root.join("w")).as_deref(), Some(A));
        write(".git/HEAD", &format!("{B}\n"));
        assert_eq!(git_of(root).as_deref(), Some(B));
        write(".git/HEAD", "ref: ../../etc/passwd\n");
        assert_eq!(git_of(root), None);
    }

    #[test]
    fn without_git_the_variable_of_a_ci_system_counts_and_its_name_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let given = BTreeMap::from([("CI_COMMIT_SHA", A), ("GITHUB_SHA", "not a commit")]);
        let found = of(dir.path(), |name| given.get(name).map(|&it| it.to_owned())).unwrap();
        assert_eq!((found.id.as_str(), found.from.as_str()), (A, "CI_COMMIT_SHA"));
    }
}

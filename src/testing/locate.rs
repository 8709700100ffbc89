//! Finds our own binary: a test process is not keelhaul, and cannot be its own helper.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::Error;

/// The variable that names it.
const VARIABLE: &str = "KEELHAUL_BIN";
const NAME: &str = "keelhaul";

/// By the variable, above this executable (`target/debug/deps/test` has it two directories up), or on
/// the path.
pub(super) fn find() -> Result<PathBuf, Error> {
    let places = Places {
        named: env::var_os(VARIABLE),
        own: env::current_exe().ok(),
        path: env::var_os("PATH"),
    };
    places.find(&|path| path.is_file())
}

/// Where to look.
struct Places {
    named: Option<OsString>,
    own: Option<PathBuf>,
    path: Option<OsString>,
}

impl Places {
    fn find(self, is_file: &dyn Fn(&Path) -> bool) -> Result<PathBuf, Error> {
        if let Some(named) = self.named.filter(|named| !named.is_empty()) {
            let named = PathBuf::from(named);
            let looked =
                || format!(": {VARIABLE} says `{}`, and no file is there", named.display());
            return if is_file(&named) {
                Ok(named)
            } else {
                Err(Error::NoProgram { looked: looked() })
            };
        }
        let above = self.own.iter().flat_map(|own| own.ancestors().skip(1).take(2));
        let beside: Vec<PathBuf> = above.map(|directory| directory.join(NAME)).collect();
        let path = self.path.unwrap_or_default();
        let on_path = env::split_paths(&path).map(|directory| directory.join(NAME));
        let looked = beside.first().map(|first| format!(" beside `{}`", first.display()));
        let found = beside.iter().cloned().chain(on_path).find(|path| is_file(path));
        found.ok_or_else(|| Error::NoProgram {
            looked: format!("{}, nor on the PATH", looked.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(named: &str, there: &[&str]) -> Result<PathBuf, String> {
        let places = Places {
            named: Some(named.into()),
            own: Some("/w/target/debug/deps/it-0123".into()),
            path: Some("/usr/bin:/opt/bin".into()),
        };
        let found = places.find(&|path| there.iter().any(|one| Path::new(one) == path));
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_named_comes_first_then_what_is_near_then_the_path() {
        let all = ["/x/kh", "/w/target/debug/keelhaul", "/opt/bin/keelhaul"];
        assert_eq!(find("/x/kh", &all), Ok("/x/kh".into()));
        assert_eq!(find("", &all), Ok("/w/target/debug/keelhaul".into()));
        assert_eq!(find("", &all[2..]), Ok("/opt/bin/keelhaul".into()));
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let none = find("", &[]).unwrap_err();
        assert!(none.contains("nor on the PATH\n\nhint: `cargo install keelhaul"), "{none}");
        let named = find("/x/kh", &["/usr/bin/keelhaul"]).unwrap_err();
        assert!(named.contains("KEELHAUL_BIN says `/x/kh`, and no file is there"), "{named}");
    }
}

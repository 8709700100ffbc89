//! Completions and man pages: of every verb that users have, and of no other.

use std::process::Command;

use crate::harness::{KEELHAUL, Test};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn completions(shell: &str) -> String {
    let ran = Command::new(KEELHAUL).args(["completions", shell]).output().unwrap();
    assert!(ran.status.success(), "{shell}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn every_shell_completes_users_verbs_and_no_inner_ones() {
    for shell in SHELLS {
        let script = completions(shell);
        for verb in ["run", "check", "recover", "audit"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        assert!(!script.contains("helper-") && !script.contains("helper_"), "{shell}");
    }
}

#[test]
fn bash_takes_its_completions() {
    let dir = Test::new();
    dir.scenario("keelhaul.bash", &completions("bash"));
    let script = format!(
        "source {}; COMP_WORDS=(keelhaul rec); COMP_CWORD=1; _keelhaul keelhaul rec keelhaul; \
         echo \"${{COMPREPLY[@]}}\"",
        dir.path("keelhaul.bash").display()
    );
    let ran = Command::new("bash").args(["-c", &script]).output().unwrap();
    let (said, wrong) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(said.trim(), "recover", "{wrong}");
}

#[test]
fn every_verb_has_its_man_page() {
    let dir = Test::new();
    let pages = dir.path("man");
    let ran = Command::new(KEELHAUL).arg("man").arg(&pages).output().unwrap();
    assert!(ran.status.success());
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("keelhaul.1").contains("Exit codes"));
    assert!(page("keelhaul-run.1").contains("fail"));
    let names = std::fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(names.len() > 12 && !names.iter().any(|name| name.contains("helper")), "{names:?}");

    let nowhere = Command::new(KEELHAUL).args(["man", "/proc/nowhere"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("cannot make `/proc/nowhere`"));
}

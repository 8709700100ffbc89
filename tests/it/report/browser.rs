//! The page for people in a real browser: it opens without a complaint, and its filters filter.
//!
//! Where there is no Chromium this says so and proves nothing.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use keelhaul::report::html;

use super::made::Made;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A page as the browser has it when its scripts have run.
struct Opened {
    dom: String,
    /// What it has to complain of.
    console: Vec<String>,
}

fn browser() -> Option<&'static str> {
    let runs = |name: &&str| {
        let mut asked = Command::new(name);
        let asked = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    };
    NAMES.into_iter().find(runs)
}

fn open(browser: &str, dir: &Path, page: &str) -> Opened {
    let file = dir.join("report.html");
    fs::write(&file, page).unwrap();
    let ran = Command::new("timeout")
        .args(["60", browser, "--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0"])
        .args(["--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{log}");
    let console = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned);
    Opened { dom: String::from_utf8(ran.stdout).unwrap(), console: console.collect() }
}

fn page() -> String {
    let mut out = Vec::new();
    html::write(&Made::everything().record(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// How many cases there are, and how many of them are shown.
fn shown(dom: &str) -> (usize, usize) {
    let cases: Vec<&str> = dom
        .split("<details class=\"case\"")
        .skip(1)
        .map(|at| at.split('>').next().unwrap())
        .collect();
    let hidden = cases.iter().filter(|tag| tag.contains("hidden")).count();
    (cases.len(), cases.len() - hidden)
}

#[test]
fn it_opens_without_a_complaint_and_its_filters_filter() {
    let Some(browser) = browser() else {
        let _ = writeln!(std::io::stderr(), "skipped: none of {} is here", NAMES.join(", "));
        return;
    };
    let (dir, page) = (tempfile::tempdir().unwrap(), page());
    let plain = open(browser, dir.path(), &page);
    assert_eq!(plain.console, Vec::<String>::new(), "under its own policy");
    assert!(page.contains("<form hidden") && plain.dom.contains("<form>"), "scripts run");
    let (all, shows) = shown(&plain.dom);
    assert!(all > 2 && shows == all, "{shows} of {all}");

    let broken = page.replace("</body>", "<script>not.there()</script></body>");
    assert!(
        !open(browser, dir.path(), &broken).console.is_empty(),
        "its policy stops others' scripts"
    );

    // a second script stands for whoever uses the filters; the page's own policy would stop it
    let driven = |act: &str| {
        let open_to_all = page.replace("Content-Security-Policy", "x");
        let script = format!(
            "<script>const form = document.querySelector('form'); {act}; \
             form.dispatchEvent(new Event('input'));</script></body>"
        );
        let opened = open(browser, dir.path(), &open_to_all.replace("</body>", &script));
        assert_eq!(opened.console, Vec::<String>::new(), "{act}");
        opened.dom
    };
    let failed = driven(
        "form.querySelectorAll('[name=verdict]').forEach((box) => { box.checked = box.value === 'fail' })",
    );
    let expected = page.matches("<details class=\"case\"").count();
    let (_, shows) = shown(&failed);
    assert!(shows > 0 && shows < expected, "{shows} of {expected}");
    let nothing = driven("form.text.value = 'no case has this name'");
    assert_eq!(shown(&nothing).1, 0);
    assert!(!nothing.contains("id=\"empty\" hidden"), "it says that none fits");
}

//! A headless Chromium that a test drives over a pipe (`--remote-debugging-pipe`): messages of the
//! `DevTools` protocol, each ended by a NUL.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::browsers;

/// For one answer, for a value that a page comes to, and for the end; the largest page is slow to open
/// on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something that is still to come.
const LOOK: Duration = Duration::from_millis(10);

/// A browser with one page; it ends with this value.
pub(super) struct Chromium {
    child: Child,
    asks: ChildStdin,
    answers: Receiver<Value>,
    /// What came of itself since the page was opened.
    events: Vec<Value>,
    last: u64,
    session: Option<String>,
    dir: TempDir,
}

impl Chromium {
    /// None where there is none and none is demanded; says so then.
    pub(super) fn start(test: &str) -> Option<Self> {
        let program = browsers::wanted(test)?;
        let dir = tempfile::Builder::new().prefix("kh-page").tempdir().unwrap();
        let profile = dir.path().join("profile");
        let mut child = Command::new("sh")
            // it reads from 3 and writes to 4
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .env("HOME", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asks, told) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, answers) = channel();
        thread::spawn(move || {
            for message in BufReader::new(told).split(0) {
                let Ok(message) = message else { return };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let (events, last, session) = (Vec::new(), 0, None);
        let mut browser = Self { child, asks, answers, events, last, session, dir };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let page = self.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let session = self.ask("Target.attachToTarget", &target);
        self.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.ask(&format!("{domain}.enable"), &json!({}));
        }
        self.ask("Page.setLifecycleEventsEnabled", &json!({ "enabled": true }));
    }

    fn next(&mut self, until: Instant, what: &str) -> Value {
        let left = until.saturating_duration_since(Instant::now());
        self.answers.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends a command and waits for its answer.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.asks.write_all(format!("{message}\0").as_bytes()).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let mut answer = self.next(until, method);
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    /// Opens a page from a file, and waits until it is loaded.
    pub(super) fn open(&mut self, page: &str) {
        let file = self.dir.path().join("page.html");
        std::fs::write(&file, page).unwrap();
        // from one page to the same with another place in it nothing would be loaded
        self.go("about:blank");
        self.go(&url(&file));
    }

    /// What is loaded is known by its loader: an earlier page may still say that it is there.
    fn go(&mut self, to: &str) {
        self.events.clear();
        let went = self.ask("Page.navigate", &json!({ "url": to }));
        assert!(went["errorText"].is_null() && went["loaderId"].is_string(), "{to}: {went}");
        let until = Instant::now() + PATIENCE;
        let loaded = |one: &&Value| one["loaderId"] == went["loaderId"] && one["name"] == "load";
        while !self.of("Page.lifecycleEvent").iter().any(loaded) {
            let event = self.next(until, "the page loads");
            self.events.push(event);
        }
    }

    /// What came of this kind since the page was opened.
    fn of(&self, method: &str) -> Vec<&Value> {
        let events = self.events.iter().filter(|event| event["method"] == method);
        events.map(|event| &event["params"]).collect()
    }

    /// What the page has to complain of: exceptions, messages on the console, entries in the log.
    pub(super) fn complaints(&mut self) -> Vec<String> {
        // whatever was on its way comes before this answer
        self.eval("0");
        ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"]
            .into_iter()
            .flat_map(|kind| self.of(kind))
            .map(Value::to_string)
            .collect()
    }

    /// Everything that was asked for over a network or from a disk, the page itself apart.
    pub(super) fn requests(&self) -> Vec<String> {
        let asked = self.of("Network.requestWillBeSent").into_iter();
        let urls = asked.filter_map(|params| params["request"]["url"].as_str());
        urls.filter(|one| *one != url(&self.dir.path().join("page.html")))
            .map(str::to_owned)
            .collect()
    }

    /// The value of an expression in the page.
    pub(super) fn eval(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression has this value: what a click sets off may come some turns later.
    #[track_caller]
    pub(super) fn becomes(&mut self, expression: &str, wanted: impl Into<Value>) {
        let (wanted, until) = (wanted.into(), Instant::now() + PATIENCE);
        loop {
            let value = self.eval(expression);
            if value == wanted {
                return;
            }
            assert!(Instant::now() < until, "{expression} is {value}, never {wanted}");
            thread::sleep(LOOK);
        }
    }

    /// Clicks with the mouse on the first element that fits.
    pub(super) fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const one = document.querySelector({selector:?}); one.scrollIntoView({{ block: 'center' }}); \
             const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] }})()"
        );
        let place = self.eval(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&place[0], &place[1]);
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", &event);
        }
    }

    /// Presses this key where the focus is, and lets it go.
    pub(super) fn press(&mut self, key: &str, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "text": text });
            self.ask("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types a text into what has the focus.
    pub(super) fn write(&mut self, text: &str) {
        self.ask("Input.insertText", &json!({ "text": text }));
    }

    /// As on a screen of this width, for this medium, in light or dark.
    pub(super) fn show(&mut self, width: u32, media: &str, scheme: &str) {
        let screen =
            json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", &screen);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", &json!({ "media": media, "features": features }));
    }

    /// Asks it to end, and waits until its side of the pipe is closed. False when it does not end.
    fn closes(&mut self) -> bool {
        let close = json!({ "id": self.last + 1, "method": "Browser.close" });
        let _ = self.asks.write_all(format!("{close}\0").as_bytes());
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(_) => {}
                Err(why) => return why == RecvTimeoutError::Disconnected,
            }
        }
    }

    /// False when something of it stays. Its processes may write for a moment longer than it lives.
    fn is_removed(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while self.dir.path().exists() && std::fs::remove_dir_all(self.dir.path()).is_err() {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }
}

fn url(file: &Path) -> String {
    format!("file://{}", file.display())
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let closed = self.closes();
        if !closed {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let removed = self.is_removed();
        // another panic now would hide what failed
        if !thread::panicking() {
            assert!(closed, "it does not end when it is asked to");
            assert!(removed, "its profile stays: {}", self.dir.path().display());
        }
    }
}

//! Whatever a file holds, loading ends with scenarios or diagnostics.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{folder, load_text};

/// Characters that YAML, the language or a terminal treats specially.
const SPECIAL: &str = "\t\n :-{}[]\"'&*!|>%@`#,?~$\\0a\u{1b}\u{202e}漢\u{feff}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_of_a_good_file_never_panic(
        edits in vec((any::<Index>(), 0..3_u8, any::<Index>()), 1..6),
    ) {
        let good = std::fs::read_to_string(folder("good").join("full.yaml")).unwrap();
        let mut text: Vec<char> = good.chars().collect();
        let special: Vec<char> = SPECIAL.chars().collect();
        for (at, how, which) in edits {
            let at = at.index(text.len());
            match how {
                0 => { text.remove(at); }
                1 => text.insert(at, special[which.index(special.len())]),
                _ => {
                    let end = (at + which.index(40)).min(text.len());
                    text.drain(at..end);
                }
            }
            if text.is_empty() { text.push('x'); }
        }
        let text: String = text.into_iter().collect();
        if let Err(problems) = load_text(&text, &[]) {
            prop_assert!(!problems.is_empty());
            let shown = keelhaul::diagnostic::render(&problems);
            prop_assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        }
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        let _ = load_text(&text, &[]);
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
    let problems = load_text(&deep, &[]).unwrap_err();
    assert!(problems[0].message.contains("inside each other"), "{}", problems[0]);
    let long = format!("about: {}\n", "x".repeat(2 << 20));
    let problems = load_text(&long, &[]).unwrap_err();
    assert!(problems[0].message.contains("bytes"), "{}", problems[0]);
}

//! `explain` of the keys of the language: what each means, where it stands, and an example.

use keelhaul::glossary::WORDS;

use crate::harness::Test;

#[test]
fn every_key_is_explained_with_its_places_and_an_example() {
    let test = Test::new();
    for (word, says) in [
        ("interpose", ["What lies between the volume and its users", "`docker`", "Example\n"]),
        ("target", ["The container: `service`.", "`pause`", "{ target: agent"]),
        // below a key of a key
        ("every", ["Every n-th.", "Stands below\n  `when`", "when: { every: "]),
        ("timeout", ["key of a scenario", "key of a healthcheck", "Example\n  timeout: "]),
    ] {
        let ran = test.keelhaul(&["explain", word]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{word}");
        for part in says {
            assert!(ran.stdout.contains(part), "{part} is not in\n{}", ran.stdout);
        }
    }
    let ran = test.keelhaul(&["explain", "interpos"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("did you mean `interpose`?"), "{}", ran.stderr);
}

#[test]
fn every_word_of_the_glossary_is_explained_however_it_is_written() {
    let test = Test::new();
    let explained = |word: &str| test.keelhaul(&["explain", word]);
    for word in WORDS {
        let ran = explained(word.name);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", word.name);
        assert!(ran.stdout.contains(word.means), "{}", ran.stdout);
    }
    for (written, means) in [
        ("steady state", "steady-state (word)"),
        ("Blast_Radius", "blast-radius (word)"),
        ("canaries", "canary (word)"),
        ("interposers", "interposer (word)"),
    ] {
        let ran = explained(written);
        assert!(ran.code == Some(0) && ran.stdout.contains(means), "{written}: {ran:?}");
    }
    for (typo, meant) in [("interpozer", "interposer"), ("canry", "canary"), ("keeperr", "keeper")]
    {
        let ran = explained(typo);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(&format!("did you mean `{meant}`?")), "{}", ran.stderr);
    }
}

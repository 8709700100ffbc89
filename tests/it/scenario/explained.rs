//! `explain` of the keys of the language: what each means, where it stands, and an example.

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

//! Containers that run already, as a command line names them. Pure: what is there is handed in.

use std::collections::BTreeSet;

use super::attached::{AttachError, SERVICE, find};
use crate::{runtime::Listed, scenario::Attach};

/// A container that a word of the command line stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// What a service is called that is this container: the container's name, or the one that Compose
    /// knows it by.
    pub name: String,
    /// How a scenario says which it is.
    pub attach: Attach,
    /// As it is listed.
    pub listed: &'a Listed,
}

/// What the words stand for, each container once: a name or an id, `label=KEY=VALUE`,
/// `project=NAME/SERVICE`, or `project=NAME` for every container of a Compose project.
///
/// # Errors
/// When a word stands for none, or for several where one is meant.
pub fn chosen<'a>(words: &[String], all: &'a [Listed]) -> Result<Vec<Chosen<'a>>, AttachError> {
    let mut found: Vec<Chosen<'a>> = Vec::new();
    for word in words {
        for attach in meant(word, all) {
            let listed = find(word, &attach, all)?;
            let name = attach.service.clone().unwrap_or_else(|| listed.name.clone());
            if !found.iter().any(|one| one.listed.id == listed.id) {
                found.push(Chosen { name, attach, listed });
            }
        }
    }
    Ok(found)
}

/// What a word selects by; a project alone is each of its services.
fn meant(word: &str, all: &[Listed]) -> Vec<Attach> {
    if let Some(label) = word.strip_prefix("label=") {
        return vec![Attach { label: Some(label.to_owned()), ..Attach::default() }];
    }
    let Some(project) = word.strip_prefix("project=") else {
        return vec![Attach { container: Some(word.to_owned()), ..Attach::default() }];
    };
    let of = |project: &str, service: Option<&str>| Attach {
        project: Some(project.to_owned()),
        service: service.map(str::to_owned),
        ..Attach::default()
    };
    if let Some((project, service)) = project.split_once('/') {
        return vec![of(project, Some(service))];
    }
    let theirs = all.iter().filter(|one| one.running && !one.ours);
    let theirs = theirs.filter(|one| one.project.as_deref() == Some(project));
    let services: BTreeSet<&str> =
        theirs.filter_map(|one| one.labels.get(SERVICE)).map(String::as_str).collect();
    if services.is_empty() {
        // it is looked for all the same, and not found
        return vec![of(project, None)];
    }
    services.into_iter().map(|service| of(project, Some(service))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Listed> {
        let one = |name: &str, labels: &[(&str, &str)]| Listed {
            id: format!("{name}-0123456789"),
            name: name.into(),
            running: true,
            project: labels.iter().any(|(key, _)| *key == SERVICE).then(|| "shop".into()),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Listed::default()
        };
        vec![
            one("shop-db-1", &[(SERVICE, "db")]),
            one("shop-web-1", &[(SERVICE, "web")]),
            one("cache", &[("tier", "cache")]),
        ]
    }

    fn names(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let all = all();
        let found = chosen(&words, &all).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|one| one.name).collect())
    }

    #[test]
    fn a_word_is_a_name_a_label_or_a_project_and_each_container_is_there_once() {
        assert_eq!(names(&["cache"]).unwrap(), ["cache"]);
        assert_eq!(names(&["label=tier=cache", "cache"]).unwrap(), ["cache"]);
        assert_eq!(names(&["project=shop/web"]).unwrap(), ["web"]);
        assert_eq!(names(&["project=shop"]).unwrap(), ["db", "web"]);
    }

    #[test]
    fn what_stands_for_nothing_says_what_is_there() {
        for (word, says) in [
            ("cahce", "did you mean `cache`?"),
            ("label=tier=chace", "did you mean `tier=cache`?"),
            ("project=shop/bd", "did you mean `db`?"),
            ("project=shpo", "did you mean `shop`?"),
        ] {
            let why = names(&[word]).unwrap_err();
            assert!(why.contains(says), "{word}: {why}");
        }
    }
}

//! Asks the engine for everything that rules look at. It only reads: what cannot be read without
//! a change is left out, and said.

use serde::Serialize;

use super::{Subject, User, shares, user};
use crate::runtime::{Choices, ChosenMount, ChosenSource, Docker, Listed, Result, RuntimeError};

/// What was not looked at, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlooked {
    /// The container's name.
    pub container: String,
    /// What nothing is known of.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What is known of these containers, by id, among all that there are. One that hangs is not looked
/// at, and the others are; so is one that is gone meanwhile, unless it was `named`.
///
/// # Errors
/// A container that was named and is gone, or an engine that refuses everything.
pub async fn gather(
    docker: &Docker,
    ids: &[String],
    all: &[Listed],
    named: bool,
) -> Result<(Vec<Subject>, Vec<Unlooked>)> {
    let (mut subjects, mut unlooked) = (Vec::new(), Vec::new());
    for id in ids {
        match one(docker, id, all).await {
            Ok((subject, mut left_out)) => {
                unlooked.append(&mut left_out);
                subjects.push(subject);
            }
            Err(RuntimeError::Gone { .. }) if !named => {}
            Err(error @ RuntimeError::Timeout { .. }) => {
                let container = all.iter().find(|one| one.id == *id).map_or(id, |one| &one.name);
                let (container, what) = (container.clone(), "what was chosen for it".to_owned());
                unlooked.push(Unlooked { container, what, why: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok((subjects, unlooked))
}

async fn one(docker: &Docker, id: &str, all: &[Listed]) -> Result<(Subject, Vec<Unlooked>)> {
    let mut look = Look { docker, choices: docker.choices(id).await?, unlooked: Vec::new() };
    let subject = look.subject(all).await?;
    Ok((subject, look.unlooked))
}

/// One container.
struct Look<'a> {
    docker: &'a Docker,
    choices: Choices,
    unlooked: Vec<Unlooked>,
}

impl Look<'_> {
    async fn subject(&mut self, all: &[Listed]) -> Result<Subject> {
        let mut subject = Subject { choices: self.choices.clone(), ..Subject::default() };
        for mount in &self.choices.mounts {
            let writers = writers(&self.choices.id, mount, all);
            subject.writers.insert(mount.destination.clone(), writers);
        }
        self.hidden(&mut subject).await?;
        if self.choices.makes_binds && !self.choices.running {
            // asked for the owner, the engine would make them
            let why = "the container does not run, and the engine would make missing directories of its binds";
            self.leave_out("the owners of its mounts", why);
        } else {
            self.owners(&mut subject).await?;
        }
        Ok(subject)
    }

    async fn hidden(&mut self, subject: &mut Subject) -> Result<()> {
        let paths: Vec<String> = self
            .choices
            .mounts
            .iter()
            .filter(|mount| may_hide(mount))
            .map(|mount| mount.destination.clone())
            .collect();
        let found = self.docker.hidden_below(&self.choices.id, paths.clone()).await;
        if let Some(found) = self.unless_refused(found, "files that its mounts hide")? {
            subject.hidden = paths.into_iter().zip(found).collect();
        }
        Ok(())
    }

    async fn owners(&mut self, subject: &mut Subject) -> Result<()> {
        for mount in self.choices.mounts.clone() {
            // the engine's view has no tmpfs in it
            if mount.shared_as().is_none() {
                continue;
            }
            let path = &mount.destination;
            let found = self.docker.owner_of(&self.choices.id, path).await;
            let found = self.unless_refused(found, &format!("the owner of `{path}`"))?;
            if let Some(owned) = found.flatten() {
                subject.owners.insert(path.clone(), owned);
            }
        }
        subject.user = self.user().await?;
        Ok(())
    }

    async fn user(&mut self) -> Result<Option<User>> {
        let chosen = self.choices.user.clone();
        let (passwd, group) =
            (self.text_file("/etc/passwd").await?, self.text_file("/etc/group").await?);
        let found = user::resolve(&chosen, &self.choices.groups, &passwd, &group);
        if found.is_none() {
            let why = format!("its image knows no `{chosen}`");
            self.leave_out("the user that it runs as", &why);
        }
        Ok(found)
    }

    async fn text_file(&mut self, path: &str) -> Result<String> {
        let found = self.docker.small_file(&self.choices.id, path).await;
        let found = self.unless_refused(found, &format!("`{path}`"))?.flatten();
        Ok(String::from_utf8_lossy(&found.unwrap_or_default()).into_owned())
    }

    /// What one look came to; one that was refused or hangs is noted, and the others go on.
    fn unless_refused<T>(&mut self, found: Result<T>, what: &str) -> Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(RuntimeError::Refused { detail, .. }) => {
                self.leave_out(what, &detail);
                Ok(None)
            }
            Err(error @ RuntimeError::Timeout { .. }) => {
                self.leave_out(what, &error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn leave_out(&mut self, what: &str, why: &str) {
        let container = self.choices.name.clone();
        self.unlooked.push(Unlooked { container, what: what.into(), why: why.into() });
    }
}

/// The engine copies an image's files into an empty volume; over anything else they are hidden.
fn may_hide(mount: &ChosenMount) -> bool {
    !matches!(mount.source, ChosenSource::Volume(_))
}

/// Names of the others that run and may write there. A helper of ours mounts what it breaks.
fn writers(own: &str, mount: &ChosenMount, all: &[Listed]) -> Vec<String> {
    let Some(shared) = mount.shared_as() else { return Vec::new() };
    let others = all.iter().filter(|other| other.id != own && other.running && !other.helper);
    let writers = others.filter(|other| other.writes.iter().any(|path| shares(path, shared)));
    writers.map(|other| other.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_above_or_below_writes_there_as_well() {
        let source = ChosenSource::Bind("/srv".into());
        let mount = ChosenMount { destination: "/data".into(), source, writable: true };
        let other = |name: &str, path: &str| Listed {
            id: name.into(),
            name: name.into(),
            running: true,
            writes: vec![path.into()],
            ..Listed::default()
        };
        let all = [
            other("own", "/srv"),
            other("same", "/srv"),
            other("below", "/srv/app"),
            other("above", "/"),
            other("beside", "/srv2"),
            other("volume", "srv"),
        ];
        assert_eq!(writers("own", &mount, &all), ["same", "below", "above"]);
    }
}

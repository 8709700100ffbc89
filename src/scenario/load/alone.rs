//! A fault, a probe or a workload by itself, as it stands in a scenario, with the same complaints.

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    de,
    node::{Entry, Node, Value},
    parse,
    problem::Source,
    shape,
};
use crate::{
    diagnostic::{Diagnostic, sorted},
    faults::FaultSpec,
    probes::ProbeSpec,
    scenario::ProbeItem,
    workloads::WorkloadSpec,
};

/// Where each stands: the shape of the whole is known by the key above it.
#[derive(Deserialize, JsonSchema)]
struct Inject {
    inject: FaultSpec,
}

#[derive(Deserialize, JsonSchema)]
struct Expect {
    expect: ProbeItem,
}

#[derive(Deserialize, JsonSchema)]
struct Load {
    load: WorkloadSpec,
}

/// Reads what an `inject:` holds: `read-only: { target: "agent:/data" }`.
///
/// # Errors
/// Every problem of it, with its place in the text.
pub fn read_fault(text: &str) -> Result<FaultSpec, Vec<Diagnostic>> {
    read::<Inject>("inject", text).map(|it| it.inject)
}

/// Reads an element of an `expect:`: `http: { service: agent, path: /health }`.
///
/// # Errors
/// Every problem of it, with its place in the text.
pub fn read_probe(text: &str) -> Result<ProbeSpec, Vec<Diagnostic>> {
    read::<Expect>("expect", text).map(|it| it.expect.probe)
}

/// Reads a value of `workloads:`: `ledger: { via: { http: { service: agent } } }`.
///
/// # Errors
/// Every problem of it, with its place in the text.
pub fn read_workload(text: &str) -> Result<WorkloadSpec, Vec<Diagnostic>> {
    read::<Load>("load", text).map(|it| it.load)
}

fn read<T: DeserializeOwned + JsonSchema>(key: &str, text: &str) -> Result<T, Vec<Diagnostic>> {
    let source = Source::new(key, text);
    let told = |problems: Vec<_>| {
        sorted(problems.iter().map(|problem| source.diagnostic(problem)).collect())
    };
    let (tree, mut problems) = parse::parse(text);
    let Some(value) = tree.filter(|_| problems.is_empty()) else { return Err(told(problems)) };
    let span = value.span;
    let entry = Entry { key: key.to_owned(), key_span: span, value };
    let whole = Node::new(span, Value::Map(vec![entry]), "");
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    problems.extend(shape::check(&whole, &generator.into_root_schema_for::<T>().to_value()));
    if problems.is_empty() {
        return de::read::<T>(&whole, None).map_err(|problem| told(vec![problem]));
    }
    Err(told(problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<T>(read: Result<T, Vec<Diagnostic>>) -> (String, Option<String>) {
        let Err(found) = read else { panic!("it was read") };
        (found[0].message.clone(), found[0].hint.clone())
    }

    #[test]
    fn a_fault_stands_alone() {
        let fault = read_fault("read-only: { target: \"agent:/data\" }").unwrap();
        assert_eq!(
            (fault.name(), fault.target().to_string().as_str()),
            ("read-only", "agent:/data")
        );
        let (message, hint) = wrong(read_fault("raed-only: { target: agent }"));
        assert!(message.contains("`raed-only`"), "{message}");
        assert!(hint.is_some_and(|hint| hint.starts_with("did you mean `read-only`?")));
        let Err(found) = read_fault("pause: { taget: agent }") else { panic!("it was read") };
        assert!(found.iter().any(|one| one.message.contains("`taget`")), "{found:?}");
        assert!(read_fault("").is_err() && read_fault("pause: [").is_err());
    }

    #[test]
    fn a_probe_and_a_workload_stand_alone() {
        assert_eq!(read_probe("http: { service: a, path: /h }").unwrap().name(), "http");
        assert!(read_probe("htp: { service: a }").is_err());
        let load = read_workload("ledger: { via: { http: { service: a } }, rate: 50/s }").unwrap();
        assert_eq!((load.name(), load.service()), ("ledger", "a"));
        assert!(read_workload("ledger: { via: { http: { service: a } }, rate: fast }").is_err());
    }
}

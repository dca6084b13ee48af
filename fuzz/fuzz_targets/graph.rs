//! Definition files and the resource graph: no panic, always the same answer, an order in which
//! everything stands behind what it needs.
//!
//! The input is definition files as YAML; behind a NUL byte follows the deployment set as JSON.

#![no_main]

use std::{collections::BTreeMap, sync::Arc};

use downbeat_core::{
    Definition, DeploymentSet, builtin, definition_file,
    graph::{self, Input},
    matching::{Context, Index},
    resource_type::Catalogue,
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|input: &str| {
    let (definitions, set) = input.split_once('\0').unwrap_or((input, ""));
    let Ok(definitions) = definition_file::read(definitions) else { return };
    let mut index = Index::default();
    for file in definitions {
        let definition = Definition::new(&file.id, "v", &file.resource_type, file.body);
        assert!(definition.problems().iter().all(|problem| !problem.message.is_empty()));
        let definition = Arc::new(definition);
        for criteria in file.criteria {
            let _ = index.insert(&definition, criteria);
        }
    }
    builtin::add_to(&mut index).expect("built-in definitions are no twins");
    let set = serde_json::from_str(set).ok().and_then(|set| DeploymentSet::from_json(set).ok());
    let set = set.unwrap_or_else(|| {
        let types = index.entries().map(|entry| entry.definition.resource_type.to_string());
        let externals: BTreeMap<_, _> = types
            .map(|resource_type| (resource_type.clone(), json!({"type": resource_type})))
            .collect();
        DeploymentSet::from_json(json!({"modules": {"web": {"externals": externals}}}))
            .expect("a set")
    });
    let types = Catalogue::default();
    let input = Input {
        set: &set,
        context: Context { org: "acme", app: "shop", env: "dev", env_type: "development" },
        definitions: &index,
        types: &types,
        installation: "i",
        incarnations: &BTreeMap::new(),
        pins: &BTreeMap::new(),
    };
    match (graph::build(&input), graph::build(&input)) {
        (Ok(one), Ok(two)) => {
            for (at, node) in one.nodes.iter().enumerate() {
                assert!(node.depends_on.iter().all(|(needed, _)| (*needed as usize) < at));
            }
            let [one, two] = [one, two].map(|graph| graph::to_wire(&graph, &set, &types));
            assert_eq!(one, two);
            let _ = graph::hash(&one);
        }
        (Err(one), Err(two)) => {
            assert!(!one.is_empty() && one.iter().all(|error| !error.message.is_empty()));
            assert_eq!(one, two);
        }
        _ => panic!("two answers to one question"),
    }
});

//! Specs of workloads: no panic, mistakes have a place, objects can be written and read again.
//!
//! The input is the spec of a module as JSON; the first byte chooses the profile.

#![no_main]

use std::collections::BTreeMap;

use downbeat_core::{
    Code, Document, Json,
    workload::{Scope, Workload, objects},
    yaml,
};
use libfuzzer_sys::fuzz_target;

const SCOPE: Scope<'static> = Scope { org: "acme", app: "shop", env: "dev", env_type: "test" };
const PROFILES: [&str; 4] = [
    "humanitec/default-module",
    "humanitec/default-job",
    "humanitec/default-cronjob",
    "downbeat/stateful",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let Ok(spec) = serde_json::from_slice::<Json>(text) else { return };
    let spec = Document::plain(spec);
    let workload = Workload {
        id: "web",
        profile: PROFILES[usize::from(choice % 4)],
        spec: &spec,
        containers: &[],
        volumes: &[],
        mounts: &BTreeMap::from([("externals.tmp".to_owned(), "tmp".to_owned())]),
        autoscaled: choice & 4 != 0,
        scale: (choice & 8 != 0).then_some(3),
    };
    match objects(&workload, &SCOPE) {
        Ok(objects) => {
            for object in objects {
                let written = yaml::to_string(&object.value);
                match yaml::parse_json(&written, &yaml::Limits::default()) {
                    Ok(read) => assert_eq!(read, object.value, "{written}"),
                    Err(error) => assert_eq!(error.kind, yaml::ErrorKind::Limit, "{error}"),
                }
                for at in object.secrets.keys() {
                    assert!(object.value.pointer(at).is_some(), "{at}");
                }
            }
        }
        Err(errors) => {
            for error in errors {
                assert!(error.code != Code::Internal && !error.message.is_empty());
                let parent = error.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                assert!(spec.value.pointer(parent).is_some(), "{error:?}");
            }
        }
    }
});

//! Score files: no panic, every finding has a place in the text, and a result only without errors.
//!
//! The input is a Score file; behind NUL bytes follow an overlay, an extension file and properties,
//! one per line.

#![no_main]

use downbeat_core::{DeploymentSet, yaml};
use downbeat_score::{NoFiles, Options, Overlay, Property, Source, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut parts = input.splitn(4, '\0');
    let text = parts.next().unwrap_or_default();
    let mut overlay = |name: &str| {
        let text = parts.next()?.to_owned();
        Some(Overlay::Text { name: name.to_owned(), text })
    };
    let overrides = overlay("o.yaml").into_iter().collect();
    let extension = overlay("e.yaml");
    let properties = parts.next().unwrap_or_default().lines().take(20).map(Property::parse);
    let options = Options {
        overrides,
        extension,
        properties: properties.collect(),
        image: Some("i".to_owned()),
        fill_missing_image: true,
        ..Options::default()
    };
    survive(text, &options);
    if options != Options::default() {
        survive(text, &Options::default());
    }
});

fn survive(text: &str, options: &Options) {
    let checked = check(&Source { name: "score.yaml", text }, options, &NoFiles);
    for found in &checked.diagnostics {
        assert!(!found.message.is_empty() && !found.message.ends_with('.'), "{found}");
        if found.file == "score.yaml" && found.line > 0 {
            // A finding can stand behind the last line.
            let line = yaml::lines(text).nth(found.line - 1).unwrap_or_default();
            assert!(found.line <= yaml::lines(text).count() + 1, "{found}");
            assert!(found.column <= line.chars().count() + 1, "{found}");
        }
    }
    assert_eq!(checked.converted.is_none(), checked.errors().next().is_some());
    if let Some(converted) = checked.converted {
        let mut set = DeploymentSet::default();
        set.modules.insert(converted.name, converted.module);
        set.shared = converted.shared;
        assert_eq!(DeploymentSet::from_json(set.to_json()).expect("a set"), set);
    }
}

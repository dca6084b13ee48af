//! Descriptors, selectors, ids and matching: no panic, what is printed is read again, and the index
//! finds what a look at every definition finds.
//!
//! The input is lines: a descriptor or selector each, or `class,res_id,env_id,app_id,env_type` as
//! criteria, where an empty field is absent.

#![no_main]

use std::sync::Arc;

use downbeat_core::{
    Criteria, Definition, Descriptor, ResourceKey,
    definition::Body,
    descriptor::{Direction, Target},
    id::{Grammar, GuResId},
    matching::{Context, Index},
    suggest,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let current = ResourceKey::new("dns", "", "modules.web.externals.dns");
    let mut index = Index::default();
    let mut criteria = Vec::new();
    let mut keys = vec![current.clone()];
    for (at, line) in text.lines().take(40).enumerate() {
        if line.contains(',') {
            let rule = read_criteria(line);
            let mut definition = Definition::new(&at.to_string(), "v", "dns", Body::default());
            definition.is_default = line.ends_with('!');
            let definition = Arc::new(definition);
            if index.insert(&definition, rule.clone()).is_ok() {
                criteria.push((definition, rule));
            }
            continue;
        }
        ids(line);
        if let Ok(target) = Target::parse(line) {
            let printed = match &target {
                Target::One(descriptor) => descriptor.to_string(),
                Target::Many(selector) => {
                    let mut text = selector.anchor.to_string();
                    for (direction, descriptor) in &selector.steps {
                        text.push(match direction {
                            Direction::DependsOn => '>',
                            Direction::DependedOnBy => '<',
                        });
                        text.push_str(&descriptor.to_string());
                    }
                    text
                }
            };
            assert_eq!(Target::parse(&printed), Ok(target));
        }
        if let Ok(descriptor) = Descriptor::parse(line) {
            assert_eq!(Descriptor::parse(&descriptor.to_string()), Ok(descriptor.clone()));
            let key = descriptor.relative_to(&current);
            assert!(descriptor.accepts(&key));
            keys.push(key);
        }
        let _ = suggest::nearest(line, ["postgres", "dns", "route"]);
    }
    let context = Context { org: "o", app: "app", env: "env", env_type: "type" };
    for key in &keys {
        let fits = |(definition, rule): &&(Arc<Definition>, Criteria)| {
            let field = |wanted: &Option<String>, found: &str| {
                wanted.as_deref().is_none_or(|wanted| wanted == found)
            };
            definition.resource_type == key.resource_type
                && rule.class() == &*key.class
                && field(&rule.res_id, &key.id)
                && field(&rule.env_id, context.env)
                && field(&rule.app_id, context.app)
                && field(&rule.env_type, context.env_type)
        };
        let weight = |(definition, rule): &&(Arc<Definition>, Criteria)| {
            let set = [&rule.res_id, &rule.env_id, &rule.app_id, &rule.env_type];
            (!definition.is_default, set.map(Option::is_some))
        };
        let expected = criteria.iter().filter(fits).max_by_key(weight);
        let found = index.find(key, &context);
        assert_eq!(
            found.map(|entry| &entry.definition.id),
            expected.map(|(definition, _)| &definition.id),
            "{key}"
        );
        let all = index.matches(key, &context);
        assert_eq!(all.len(), criteria.iter().filter(fits).count(), "{key}");
        assert_eq!(
            all.first().map(|entry| &entry.definition.id),
            found.map(|entry| &entry.definition.id)
        );
    }
});

fn ids(line: &str) {
    if let Some(id) = GuResId::parse(line) {
        assert_eq!(id.to_string(), line, "one id, one text");
    }
    for grammar in [
        Grammar::Application,
        Grammar::Plain,
        Grammar::Definition,
        Grammar::Class,
        Grammar::Workload,
        Grammar::ValueKey,
    ] {
        if grammar.accepts(line) {
            let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            assert!(!line.is_empty() && line.chars().all(known));
        }
    }
}

fn read_criteria(line: &str) -> Criteria {
    let mut fields = line.trim_end_matches('!').split(',');
    let mut field = || fields.next().filter(|field| !field.is_empty()).map(str::to_owned);
    Criteria {
        id: String::new(),
        class: field(),
        res_id: field(),
        env_id: field(),
        app_id: field(),
        env_type: field(),
    }
}

//! Every sample converts; what to is kept in `tests/data/golden`.

use std::{fs, path::Path};

use downbeat_core::Json;
use downbeat_score::{Options, Overlay, Source};
use serde_json::json;

use crate::{files, set};

/// For extension files that come without a Score file.
const BASE: &str =
    "apiVersion: score.dev/v1b1\nmetadata: {name: base}\ncontainers: {main: {image: .}}\n";

fn golden(name: &str, source: &Source<'_>, extension: Option<(&str, &str)>) {
    let overlay =
        |(name, text): (&str, &str)| Overlay::Text { name: name.into(), text: text.into() };
    let options = Options {
        image: Some("registry.example/image:1".to_owned()),
        extension: extension.map(overlay),
        ..Options::default()
    };
    let files =
        files(&[("./appsettings.json", "{\"a\": \"${metadata.name}\"}"), ("file.txt", "text")]);
    let checked = downbeat_score::check(source, &options, &files);
    let shown: Vec<String> = checked.diagnostics.iter().map(ToString::to_string).collect();
    let Some(converted) = checked.converted else { panic!("{name}: {shown:#?}") };
    let result: Json = json!({ "set": set(&converted), "warnings": shown });
    insta::with_settings!({
        sort_maps => true,
        snapshot_path => "../data/golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!(name, result);
    });
}

fn texts(directory: &Path) -> Vec<(String, String)> {
    let mut texts: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    texts.sort();
    texts
}

#[test]
fn every_sample_converts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus");
    for (name, text) in texts(&root.join("score-spec")) {
        golden(&format!("spec-{name}"), &Source { name: &name, text: &text }, None);
    }
    let mut topics: Vec<_> = fs::read_dir(root.join("example-library/score"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    topics.sort();
    assert_eq!(topics.len(), 22);
    for topic in topics {
        let name = topic.file_name().unwrap().to_str().unwrap().to_owned();
        let (mut scores, mut extensions) = (Vec::new(), Vec::new());
        for (file, text) in texts(&topic) {
            match text {
                text if text.contains("score.dev/v1b1") => scores.push((file, text)),
                text if text.contains("humanitec.org/v1b1") => extensions.push((file, text)),
                _ => assert_eq!(file, "deploy-config.yaml"),
            }
        }
        if scores.is_empty() {
            scores.push(("base".to_owned(), BASE.to_owned()));
        }
        for (file, text) in &scores {
            let source = Source { name: file, text };
            golden(&format!("library-{name}-{file}"), &source, None);
            for (extension, text) in &extensions {
                let golden_name = format!("library-{name}-{file}-{extension}");
                golden(&golden_name, &source, Some((extension, text)));
            }
        }
    }
}

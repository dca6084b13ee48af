//! Compares every case with what real Go made of it; see `goldens/main.go` for the files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use downbeat_template::{Options, Template, Value};
use serde_json::Value as Json;

/// Cases that may differ from Go, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

struct Case {
    template: String,
    data: Json,
    line: usize,
}

fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut data = Json::Object(serde_json::Map::new());
    let mut cases = Vec::new();
    let mut block: Option<Vec<&str>> = None;
    for (index, line) in text.split('\n').enumerate() {
        let mut push = |template: String| {
            cases.push(Case { template, data: data.clone(), line: index + 1 });
        };
        if let Some(lines) = &mut block {
            if line == "== end" {
                push(lines.join("\n"));
                block = None;
            } else {
                lines.push(line);
            }
        } else if line == "== begin" {
            block = Some(Vec::new());
        } else if let Some(json) = line.strip_prefix("== data ") {
            data = serde_json::from_str(json).unwrap();
        } else if !line.is_empty() && !line.starts_with('#') {
            push(line.to_owned());
        }
    }
    cases
}

fn run(case: &Case) -> Result<String, String> {
    let options = Options { now: Some(1_700_000_000), ..Options::default() };
    let template = Template::parse("t", &case.template).map_err(|error| error.to_string())?;
    let output = template.execute(&Value::from(&case.data), &options);
    output.map(|output| output.text).map_err(|error| error.to_string())
}

fn expected(golden: &Json) -> Result<String, String> {
    match (golden["output"].as_str(), golden["error"].as_str()) {
        (Some(output), _) => Ok(output.to_owned()),
        (_, error) => Err(error.unwrap_or_default().to_owned()),
    }
}

#[test]
fn every_case_is_as_in_go() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cases"))
        .collect();
    paths.sort();
    let mut report = String::new();
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let goldens = std::fs::read_to_string(path.with_extension("golden")).unwrap();
        let goldens: Vec<Json> =
            goldens.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let cases = cases(&path);
        assert_eq!(cases.len(), goldens.len(), "{}: goldens are stale", path.display());
        for (case, golden) in cases.iter().zip(&goldens) {
            assert_eq!(golden["template"], case.template, "{}: goldens are stale", path.display());
            let (found, expected) = (run(case), expected(golden));
            let excepted = EXCEPTIONS.iter().any(|(template, _)| *template == case.template);
            if found == expected || excepted {
                passed += 1;
                continue;
            }
            failed += 1;
            let name = path.file_name().unwrap().to_string_lossy();
            let (line, template) = (case.line, &case.template);
            writeln!(report, "{name}:{line}: {template}\n   go: {expected:?}\n ours: {found:?}")
                .unwrap();
        }
    }
    assert_eq!(failed, 0, "{failed} of {} cases differ\n{report}", passed + failed);
}

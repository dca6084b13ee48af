//! Every code has a page in `docs/errors/`, and every page has a code.

use std::{collections::BTreeSet, fs, path::PathBuf};

use downbeat_core::Code;

fn pages() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors")
}

fn read(page: &str) -> String {
    fs::read_to_string(pages().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

#[test]
fn codes_and_pages_are_the_same() {
    let files = fs::read_dir(pages()).unwrap().map(|entry| entry.unwrap().file_name());
    let pages: BTreeSet<String> = files
        .filter_map(|file| {
            file.to_str().and_then(|file| file.strip_suffix(".md")).map(str::to_owned)
        })
        .filter(|page| page != "README")
        .collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(pages, codes);
}

#[test]
fn pages_have_one_shape() {
    for code in Code::ALL {
        let page = read(&format!("{code}.md"));
        let title = format!("# {code}: {}", code.summary().trim_end_matches('.'));
        assert_eq!(page.lines().next(), Some(title.as_str()));
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        let expected = [
            "## What happened",
            "## Why it happens",
            "## What to do",
            "## Example",
            "## Where it appears",
        ];
        assert_eq!(headings, expected, "{code}");
    }
}

#[test]
fn the_index_lists_every_page_in_order() {
    let index = read("README.md");
    let rows: Vec<&str> = index.lines().filter(|line| line.starts_with("| [")).collect();
    let expected: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("| [{code}]({code}.md) | {} |", code.summary().trim_end_matches('.')))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn codes_are_read_back() {
    for code in Code::ALL {
        assert_eq!(Code::parse(code.as_str()), Some(*code));
    }
    assert_eq!(Code::parse("RES-999"), None);
}

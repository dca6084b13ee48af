//! Small rules that reviewers would otherwise have to remember.

use crate::repository::{crates, files, read, root};

/// Fails with all findings at once.
#[track_caller]
fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}

/// The Rust files of the workspace.
fn sources() -> Vec<String> {
    let mut sources = files("crates", ".rs");
    sources.extend(files("xtask", ".rs"));
    sources
}

#[test]
fn every_crate_explains_itself() {
    let mut findings = Vec::new();
    for one in crates() {
        // Who works on the repository starts `cargo xtask` without arguments instead.
        let readme = root().join(&one.folder).join("README.md");
        if one.name != "xtask" && !readme.is_file() {
            findings.push(format!("{} has no README.md", one.folder));
        }
        let heads = ["src/lib.rs", "src/main.rs"].map(|file| format!("{}/{file}", one.folder));
        for head in heads.iter().filter(|head| root().join(head).is_file()) {
            if !read(head).starts_with("//! ") {
                findings.push(format!("{head} does not begin with `//!`"));
            }
        }
    }
    none("a crate has a README.md and a head that says what it is for", &findings);
}

#[test]
fn every_module_has_a_head() {
    let is_module = |path: &&String| path.contains("/src/") && !path.ends_with("/tests.rs");
    let findings: Vec<String> = sources()
        .iter()
        .filter(is_module)
        .filter(|path| !read(path).starts_with("//!"))
        .cloned()
        .collect();
    none("a module begins with `//!`: what it is for, and its invariant", &findings);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = crates().into_iter().map(|one| format!("{}/Cargo.toml", one.folder));
    let findings: Vec<String> =
        manifests.filter(|path| !read(path).contains("[lints]\nworkspace = true")).collect();
    none("a manifest has `[lints] workspace = true`", &findings);
}

#[test]
fn no_module_is_called_mod() {
    let findings: Vec<String> =
        sources().into_iter().filter(|path| path.ends_with("/mod.rs")).collect();
    none("a module is `foo.rs` with `foo/`, not `mod.rs`", &findings);
}

#[test]
fn one_integration_binary_for_each_crate() {
    let mut findings = Vec::new();
    for one in crates() {
        let below = format!("{}/tests/", one.folder);
        let others = files(&one.folder, ".rs")
            .into_iter()
            .filter(|path| path.strip_prefix(&below).is_some_and(|rest| !rest.contains('/')));
        findings.extend(others);
    }
    none("integration tests are modules of `tests/it/main.rs`", &findings);
}

/// Who may say that access was checked: the definition, the server after it has checked the caller,
/// and the journal for the deployment that it holds a lease on. Tests may pretend.
const GRANTING: [&str; 3] = [
    "crates/downbeat-server/src/access.rs",
    "crates/downbeat-store/src/journal.rs",
    "crates/downbeat-store/src/scope.rs",
];

#[test]
fn scopes_are_granted_in_few_places() {
    let needle = ["::", "granted", "("].concat();
    let mut findings = Vec::new();
    for path in sources() {
        if GRANTING.contains(&path.as_str())
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
        {
            continue;
        }
        for (number, line) in (1..).zip(code(&read(&path)).lines()) {
            if line.contains(&needle) {
                findings.push(format!("{path}:{number}"));
            }
        }
    }
    none("a scope is proof of a check, and made where the check is", &findings);
}

#[test]
fn exceptions_to_lints_report_themselves() {
    let needle = ["allow", "("].concat();
    let mut findings = Vec::new();
    for path in sources() {
        for (number, line) in (1..).zip(read(&path).lines()) {
            let line = line.trim_start();
            if line.starts_with(&format!("#[{needle}")) || line.starts_with(&format!("#![{needle}"))
            {
                findings.push(format!("{path}:{number}"));
            }
        }
    }
    none("use `#[expect(…, reason = \"…\")]`: it says when it is no longer needed", &findings);
}

#[test]
fn no_test_is_switched_off() {
    let mut findings = Vec::new();
    for path in sources() {
        for (number, line) in (1..).zip(read(&path).lines()) {
            let line = line.trim_start();
            if ["#[ignore", "#[should_panic"].iter().any(|start| line.starts_with(start)) {
                findings.push(format!("{path}:{number}"));
            }
        }
    }
    none("a test runs, and says what it expects", &findings);
}

#[test]
fn prose_stays_within_a_hundred_columns() {
    let mut findings = Vec::new();
    let mut pages: Vec<String> = files("docs", ".md");
    pages.extend(files("crates", "README.md"));
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
        pages.push(page.to_owned());
    }
    for path in pages {
        let mut in_code = false;
        for (number, line) in (1..).zip(read(&path).lines()) {
            in_code ^= line.trim_start().starts_with("```");
            let is_free = in_code || line.starts_with('|') || line.contains("](http");
            if !is_free && line.chars().count() > 100 {
                findings.push(format!("{path}:{number}"));
            }
        }
    }
    none("prose is wrapped at 100 columns", &findings);
}

/// The text before a file's own tests.
fn code(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code)
}

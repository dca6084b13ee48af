//! `cargo xtask fuzz`: the fuzz targets, one after another.
//!
//! The package `fuzz/` stands outside of the workspace, because it needs a nightly toolchain and
//! `cargo-fuzz`. Each target begins with seeds that are gathered here from files of the repository,
//! and goes on with what earlier runs found; both stay in `fuzz/corpus`, which is not committed.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Outcome,
    process::{answer, program, root, succeeds},
};

/// How long a target runs when nothing else is said.
const SECONDS: u64 = 60;
/// Larger inputs slow every run down and show nothing new.
const LARGEST_SEED: usize = 8 << 10;

/// A fuzz target: its name, where its seeds come from, and how the files become inputs.
struct Target {
    name: &'static str,
    seeds: &'static [(&'static str, &'static str)],
    form: Form,
}

/// How one file becomes inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The file is an input.
    Whole,
    /// The cases of the template crate: a line or a block each, with the data that they are for.
    Cases,
    /// Every spec of a module in the JSON behind the head of a snapshot, behind a byte that chooses
    /// the profile.
    Specs,
}

const YAML: &[(&str, &str)] = &[("crates", ".yaml"), ("examples", ".yaml"), ("starter", ".yaml")];
const SCORE: &[(&str, &str)] =
    &[("crates/downbeat-score/tests/data", ".yaml"), ("examples", "score.yaml")];
const DEFINITIONS: &[(&str, &str)] = &[
    ("crates/downbeat/tests/data", ".yaml"),
    ("crates/downbeat-server/tests/data/definitions", ".yaml"),
    ("examples", ".yaml"),
    ("starter", ".yaml"),
];
const CASES: &[(&str, &str)] = &[("crates/downbeat-template/tests/data/cases", ".cases")];
const CONVERTED: &[(&str, &str)] = &[("crates/downbeat-score/tests/data/golden", ".snap")];

const TARGETS: &[Target] = &[
    Target { name: "delta", seeds: &[], form: Form::Whole },
    Target { name: "descriptor", seeds: &[], form: Form::Whole },
    Target { name: "graph", seeds: DEFINITIONS, form: Form::Whole },
    Target { name: "placeholder", seeds: &[], form: Form::Whole },
    Target { name: "score", seeds: SCORE, form: Form::Whole },
    Target { name: "template", seeds: CASES, form: Form::Cases },
    Target { name: "workload", seeds: CONVERTED, form: Form::Specs },
    Target { name: "yaml", seeds: YAML, form: Form::Whole },
];

pub(crate) fn run(arguments: &[&str]) -> Result<Outcome> {
    let (targets, seconds) = read(arguments)?;
    check_tools()?;
    let mut passed = 0;
    let mut failed = 0;
    for target in targets {
        let seeds = gather(target).with_context(|| format!("seeds of {}", target.name))?;
        println!("$ cargo fuzz run {} ({seconds} s, {seeds} seeds)", target.name);
        if succeeds(&mut command(target.name, seconds))? {
            passed += 1;
        } else {
            println!("FAILED {}: its input is in fuzz/artifacts/{}", target.name, target.name);
            failed += 1;
        }
    }
    println!();
    println!("fuzz targets: {passed} passed, {failed} failed");
    Ok(Outcome::of(failed == 0))
}

/// Which targets, and for how many seconds each.
fn read(arguments: &[&str]) -> Result<(Vec<&'static Target>, u64)> {
    let mut targets = Vec::new();
    let mut seconds = SECONDS;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if *word == "--seconds" {
            let number = words.next().context("`--seconds` needs a number")?;
            seconds = number.parse().ok().filter(|seconds| *seconds > 0).with_context(|| {
                format!("`--seconds` needs a number of at least 1, not `{number}`")
            })?;
            continue;
        }
        let Some(target) = TARGETS.iter().find(|target| target.name == *word) else {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            bail!("there is no fuzz target `{word}`; there are {}", known.join(", "));
        };
        targets.push(target);
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    Ok((targets, seconds))
}

fn check_tools() -> Result<()> {
    let Some(version) = answer(nightly().args(["rustc", "--version"])) else {
        bail!(
            "fuzzing needs a nightly toolchain, and there is none: \
             rustup toolchain install nightly --profile minimal"
        );
    };
    println!("{version}");
    let Some(version) = answer(nightly().args(["cargo", "fuzz", "--version"])) else {
        bail!(
            "fuzzing needs cargo-fuzz, which is not installed: cargo install cargo-fuzz --locked"
        );
    };
    println!("{version}");
    Ok(())
}

/// A program of the nightly toolchain, whatever toolchain runs this one.
fn nightly() -> Command {
    let mut command = program("rustup");
    command.args(["run", "nightly"]).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}

fn command(target: &str, seconds: u64) -> Command {
    let mut command = nightly();
    // The crates forbid unsafe code: without the sanitizer twice as many inputs are tried.
    command.args(["cargo", "fuzz", "run", "--sanitizer", "none", target, "--"]);
    command.args([
        format!("-max_total_time={seconds}"),
        "-timeout=10".to_owned(),
        "-rss_limit_mb=2048".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    let dictionary = root().join("fuzz/dictionaries").join(target).with_extension("dict");
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command
}

/// Puts the seeds of a target into its corpus; how many there are.
fn gather(target: &Target) -> Result<usize> {
    let corpus = root().join("fuzz/corpus").join(target.name);
    fs::create_dir_all(&corpus)?;
    let mut seeds = committed(target.name)?;
    for (folder, suffix) in target.seeds {
        for path in files(&root().join(folder), suffix)? {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let inputs = inputs(&text, target.form).into_iter();
            seeds.extend(inputs.filter(|input| input.len() <= LARGEST_SEED));
        }
    }
    for (number, seed) in (0..).zip(&seeds) {
        fs::write(corpus.join(format!("seed-{number:04}")), seed)?;
    }
    Ok(seeds.len())
}

/// The seeds that are no files of anything else: `fuzz/seeds/<target>`, one per line.
fn committed(target: &str) -> Result<Vec<Vec<u8>>> {
    let path = root().join("fuzz/seeds").join(target);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path)?;
    Ok(text.lines().map(|line| line.replace("\\n", "\n").replace("\\0", "\0").into()).collect())
}

fn inputs(text: &str, form: Form) -> Vec<Vec<u8>> {
    match form {
        Form::Whole => vec![text.into()],
        Form::Cases => cases(text),
        Form::Specs => specs(text),
    }
}

fn cases(text: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut data = "{}";
    let mut block: Option<Vec<&str>> = None;
    for line in text.lines() {
        let case = match (&mut block, line) {
            (Some(lines), "== end") => {
                let case = lines.join("\n");
                block = None;
                case
            }
            (Some(lines), line) => {
                lines.push(line);
                continue;
            }
            (None, "== begin") => {
                block = Some(Vec::new());
                continue;
            }
            (None, line) => match line.strip_prefix("== data ") {
                Some(json) => {
                    data = json;
                    continue;
                }
                None if line.is_empty() || line.starts_with('#') => continue,
                None => line.to_owned(),
            },
        };
        found.push(format!("{case}\0{data}").into());
    }
    found
}

fn specs(snapshot: &str) -> Vec<Vec<u8>> {
    let body = snapshot.splitn(3, "---\n").nth(2).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let modules = value.pointer("/set/modules").and_then(serde_json::Value::as_object);
    let specs = modules.into_iter().flat_map(|modules| modules.values());
    let specs = specs.filter_map(|module| module.get("spec"));
    specs.map(|spec| format!("0{spec}").into_bytes()).collect()
}

/// All files below a folder whose names end like this, sorted.
fn files(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_file_and_a_binary() {
        let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        let files = files(&root().join("fuzz/fuzz_targets"), ".rs").unwrap();
        let files: Vec<&str> =
            files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(files, names);
        for name in names {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }

    #[test]
    fn reads_targets_and_seconds() {
        let check = |words: &[&str]| {
            let (targets, seconds) = read(words).map_err(|error| error.to_string())?;
            Ok::<_, String>((targets.len(), seconds))
        };
        assert_eq!(check(&[]), Ok((TARGETS.len(), SECONDS)));
        assert_eq!(check(&["yaml", "--seconds", "5", "score"]), Ok((2, 5)));
        assert!(check(&["--seconds", "0"]).is_err() && check(&["--seconds"]).is_err());
        assert!(check(&["yml"]).unwrap_err().contains("there are delta, descriptor"));
    }

    #[test]
    fn reads_cases_with_their_data() {
        let text = "# a\n{{ 1 }}\n== data {\"a\":1}\n== begin\nb\n# c\n== end\n\n{{ .a }}\n";
        let expected = ["{{ 1 }}\0{}", "b\n# c\0{\"a\":1}", "{{ .a }}\0{\"a\":1}"];
        assert_eq!(cases(text), expected.map(|case| case.as_bytes().to_owned()));
    }

    #[test]
    fn every_place_of_seeds_has_some() {
        for target in TARGETS {
            for (folder, suffix) in target.seeds {
                let files = files(&root().join(folder), suffix).unwrap();
                let inputs = files
                    .iter()
                    .flat_map(|path| inputs(&fs::read_to_string(path).unwrap(), target.form));
                assert!(inputs.count() > 0, "{} {folder} {suffix}", target.name);
            }
        }
    }
}

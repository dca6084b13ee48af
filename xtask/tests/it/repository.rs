//! The files of the repository, and what cargo says about its crates.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder that end in `suffix`, as paths from the root, sorted. Build output and
/// data of tests are left out.
pub(crate) fn files(folder: &str, suffix: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                let is_data = name == "data" && path.parent().is_some_and(|p| p.ends_with("tests"));
                if name != "target" && !name.starts_with('.') && !is_data {
                    folders.push(path);
                }
            } else if name.ends_with(suffix) {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A crate of the workspace.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Its folder, from the root.
    pub(crate) folder: String,
    /// What it names: library, and whether for its tests only.
    pub(crate) names: Vec<(String, bool)>,
}

/// The crates of the workspace, as cargo sees them.
#[expect(clippy::disallowed_methods, reason = "asks cargo about the workspace")]
pub(crate) fn crates() -> Vec<Crate> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> Crate {
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap();
    let names = package["dependencies"].as_array().unwrap().iter().map(|dependency| {
        let name = dependency["name"].as_str().unwrap().to_owned();
        (name, dependency["kind"] == "dev")
    });
    Crate {
        name: package["name"].as_str().unwrap().to_owned(),
        folder: folder.to_str().unwrap().to_owned(),
        names: names.collect(),
    }
}

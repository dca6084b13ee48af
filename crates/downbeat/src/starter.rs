//! The starter definitions, compiled in, and definitions from files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use downbeat_core::definition_file::{self, DefinitionFile};

use crate::{report::Failure, score_file::read_text};

include!(concat!(env!("OUT_DIR"), "/starter_files.rs"));

/// The starter definitions of this build.
pub(crate) fn definitions() -> Result<Vec<DefinitionFile>, Failure> {
    let mut found = Vec::new();
    for (name, text) in FILES {
        let read = definition_file::read(text);
        found.extend(read.map_err(|error| Failure::Internal(format!("starter/{name}: {error}")))?);
    }
    Ok(found)
}

/// The definitions in files, and in all YAML files below folders, by path.
pub(crate) fn from_paths(paths: &[PathBuf]) -> Result<Vec<DefinitionFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut found: Vec<DefinitionFile> = Vec::new();
    for path in &files {
        let text = read_text(path)?;
        let read = definition_file::read(&text)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        for one in read {
            if found.iter().any(|known| known.id == one.id) {
                return Err(Failure::new(format!(
                    "{}: definition {:?} is in another file, too",
                    path.display(),
                    one.id
                )));
            }
            found.push(one);
        }
    }
    if found.is_empty() {
        return Err(Failure::new("the files hold no resource definition"));
    }
    Ok(found)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        let is_yaml = entry.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if is_yaml {
            files.push(entry);
        }
    }
    Ok(())
}

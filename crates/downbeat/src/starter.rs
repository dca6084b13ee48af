//! The starter definitions, compiled in, and definitions from files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use downbeat_core::definition_file::{self, DefinitionFile};

use crate::{
    report::{Failure, Style, count, paint, say, warn},
    score_file::read_text,
};

include!(concat!(env!("OUT_DIR"), "/starter_files.rs"));

/// The starter definitions of this build.
pub(crate) fn definitions() -> Result<Vec<DefinitionFile>, Failure> {
    let mut found = Vec::new();
    for (name, text) in FILES {
        let read = definition_file::read(text);
        found.extend(read.map_err(|error| {
            Failure::internal(anyhow::Error::new(error).context(format!("starter/{name}")))
        })?);
    }
    Ok(found)
}

/// A definition, and the file that it is in.
pub(crate) struct Located {
    /// The definition.
    pub(crate) definition: DefinitionFile,
    path: PathBuf,
}

impl Located {
    /// File and line, for messages.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.definition.line)
    }
}

/// The definitions in files, and in all YAML files below folders, by path. What is wrong with any of
/// the files is said before it fails.
pub(crate) fn from_paths(paths: &[PathBuf]) -> Result<Vec<Located>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut found: Vec<Located> = Vec::new();
    let mut mistakes = 0;
    let mut mistake = |place: &str, message: &str| {
        say(format_args!("{} {place}: {message}", paint(Style::Red, "error:")));
        mistakes += 1;
    };
    for path in files {
        let read = match definition_file::read(&read_text(&path)?) {
            Ok(read) => read,
            Err(error) => {
                let place = format!("{}:{}:{}", path.display(), error.line, error.column);
                mistake(&place, &format!("{} ({})", error.message, error.code));
                continue;
            }
        };
        for definition in read {
            let one = Located { definition, path: path.clone() };
            let id = &one.definition.id;
            match found.iter().find(|known| known.definition.id == *id) {
                Some(twin) => mistake(
                    &one.place(),
                    &format!("definition {id:?} stands at {}, too", twin.place()),
                ),
                None => found.push(one),
            }
        }
    }
    match (mistakes, found.is_empty()) {
        (0, false) => {}
        (0, true) => return Err(Failure::new("the files hold no resource definition")),
        (many, _) => {
            return Err(Failure::new(format!("{}; nothing was done", count(many, "mistake"))));
        }
    }
    for one in found.iter().filter(|one| one.definition.criteria.is_empty()) {
        let id = &one.definition.id;
        warn(format_args!("{}: definition {id:?} has no criteria and never matches", one.place()));
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

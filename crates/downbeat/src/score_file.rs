//! Score files on disk.

use std::{
    collections::btree_map::Entry,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use downbeat_core::{
    Code, DeploymentSet, patch,
    resource_type::Catalogue,
    yaml::{Node, Span},
};
use downbeat_engine::parallel;
use downbeat_score::{
    Checked, Converted, Diagnostic, FileError, Files, Options, Overlay, Property, Severity, Source,
    check,
};

use crate::{
    cli::ScoreOptions,
    report::{self, Failure},
};

/// Largest file that a Score file may name as `source`.
const SOURCE_BYTES: u64 = 1024 * 1024;
/// Largest Score file that is read; larger ones are not read at all.
const SCORE_BYTES: u64 = 4 * 1024 * 1024;

/// Types of resources that are not made, but mean something in a Score file.
const SCORE_TYPES: [&str; 3] = ["environment", "service", "workload"];

/// Files beside a Score file.
struct Beside<'a>(&'a Path);

impl Files for Beside<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let path = self.0.join(path);
        let refused = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => FileError::NotFound,
            _ => FileError::Refused(error.to_string()),
        };
        let size = fs::metadata(&path).map_err(refused)?.len();
        if size > SOURCE_BYTES {
            return Err(FileError::TooLarge { limit: usize::try_from(SOURCE_BYTES).unwrap_or(0) });
        }
        fs::read(&path).map_err(refused)
    }
}

/// Reads a text file, refusing one that is too large before reading it.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let size = fs::metadata(path).map_err(|error| Failure::file(path, &error))?.len();
    if size > SCORE_BYTES {
        return Err(Failure::new(format!(
            "{} has {size} bytes; files of more than {SCORE_BYTES} bytes are not read",
            path.display()
        )));
    }
    let bytes = fs::read(path).map_err(|error| Failure::file(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(format!("{} is not UTF-8 text (at byte {at})", path.display()))
    })
}

/// How the command line wants Score files to be read.
pub(crate) fn options(arguments: &ScoreOptions) -> Result<Options, Failure> {
    let overlay = |path: &PathBuf| -> Result<Overlay, Failure> {
        Ok(Overlay::Text { name: path.display().to_string(), text: read_text(path)? })
    };
    Ok(Options {
        overrides: arguments.overrides.iter().map(overlay).collect::<Result<_, _>>()?,
        properties: arguments.property.iter().map(|text| Property::parse(text)).collect(),
        image: arguments.image.clone(),
        extension: arguments.extensions.as_ref().map(overlay).transpose()?,
        ..Options::default()
    })
}

/// Checks one file and prints what is wrong with it.
pub(crate) fn check_one(path: &Path, options: &Options) -> Result<Checked, Failure> {
    Ok(read_one(path, options)?.shown())
}

/// What was found out about a file, and the texts that it is about.
struct Read {
    checked: Checked,
    texts: Vec<(String, String)>,
}

impl Read {
    fn shown(self) -> Checked {
        report::diagnostics(&self.checked.diagnostics, &self.texts);
        self.checked
    }
}

fn read_one(path: &Path, options: &Options) -> Result<Read, Failure> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checked = check(&Source { name: &name, text: &text }, options, &Beside(folder));
    let mut texts = vec![(name.clone(), text)];
    for overlay in options.overrides.iter().chain(&options.extension) {
        if let Overlay::Text { name, text } = overlay {
            texts.push((name.clone(), text.clone()));
        }
    }
    checked.diagnostics.extend(doubts(&name, checked.document.as_ref()));
    Ok(Read { checked, texts })
}

/// What only a deployment would find out: types that nobody can make, images to be filled in.
fn doubts(file: &str, document: Option<&Node>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut doubt = |code, node: &Node, pointer, message, hint| {
        // A span of another source is not a place in this file.
        let span = if node.span.source == 0 { node.span } else { Span::default() };
        found.push(Diagnostic {
            code,
            severity: Severity::Warning,
            message,
            hint: Some(hint),
            file: file.to_owned(),
            line: span.line as usize,
            column: span.column as usize,
            length: (span.end - span.start) as usize,
            pointer,
        });
    };
    let members = |section: &str| {
        let section = document.and_then(|document| document.get(section));
        section.and_then(Node::entries).unwrap_or_default()
    };
    for (name, container) in members("containers") {
        if let Some(image) = container.get("image").filter(|image| image.as_str() == Some(".")) {
            let pointer = patch::pointer(["containers", &name.name, "image"]);
            let message = "the image `.` stands for one that is not known yet".to_owned();
            doubt(Code::ScoreValue, image, pointer, message, "pass it with --image".to_owned());
        }
    }
    let known = Catalogue::default();
    for (name, resource) in members("resources") {
        let Some(node) = resource.get("type") else { continue };
        let Some(id) = node.as_str().filter(|id| !id.is_empty() && !id.contains('/')) else {
            continue;
        };
        if SCORE_TYPES.contains(&id) || known.find(id).is_some() {
            continue;
        }
        let hint = match known.nearest(id) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "a type of your organization is written `ORG/TYPE`".to_owned(),
        };
        let pointer = patch::pointer(["resources", &name.name, "type"]);
        let message = format!("`{id}` is not a built-in resource type");
        doubt(Code::UnknownType, node, pointer, message, hint);
    }
    found
}

/// Reads all files into one set, after printing what is wrong with any of them.
pub(crate) fn read_set(
    paths: &[PathBuf],
    arguments: &ScoreOptions,
) -> Result<DeploymentSet, Failure> {
    let options = options(arguments)?;
    let mut set = DeploymentSet::default();
    let mut failed = 0;
    let read = parallel::map(paths, |path| read_one(path, &options));
    for (path, read) in paths.iter().zip(read) {
        match read?.shown().converted {
            Some(one) => add(&mut set, one).map_err(|failure| failure.at(path.display()))?,
            None => failed += 1,
        }
    }
    match failed {
        0 => Ok(set),
        1 => Err(Failure::new("1 file has mistakes; nothing was done")),
        many => Err(Failure::new(format!("{many} files have mistakes; nothing was done"))),
    }
}

fn add(set: &mut DeploymentSet, one: Converted) -> Result<(), Failure> {
    for (key, resource) in one.shared {
        if set.shared.get(&key).is_some_and(|known| *known != resource) {
            return Err(Failure::new(format!(
                "the shared resource {key:?} is described differently by another file"
            ))
            .hint("Let type, class and params be the same, or give one of them another id"));
        }
        set.shared.insert(key, resource);
    }
    match set.modules.entry(one.name) {
        Entry::Occupied(twin) => {
            Err(Failure::new(format!("another file describes workload {:?}, too", twin.key())))
        }
        Entry::Vacant(entry) => {
            entry.insert(one.module);
            Ok(())
        }
    }
}

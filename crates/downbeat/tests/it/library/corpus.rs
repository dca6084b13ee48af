//! The files of the example library, as they were published.

use std::{
    fs,
    path::{Path, PathBuf},
};

use downbeat_core::{
    definition_file::{self, DefinitionFile},
    yaml::{self, Limits, Node},
};

/// A file of the library. Each holds one entity.
pub(super) struct File {
    /// Its path in the library.
    pub path: String,
    /// What it says.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A resource definition.
    Definition,
    /// A Score file.
    Score,
    /// An extension to a Score file.
    Extension,
    /// A list of Score files that are deployed together.
    DeployConfig,
    /// A pipeline.
    Pipeline,
    /// What the library is checked with.
    Workflow,
}

impl File {
    /// The folder it is in.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name without the folder.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&*self.path, |(_, name)| name)
    }

    /// The definition that it holds.
    pub(super) fn definition(&self) -> DefinitionFile {
        let found = definition_file::read(&self.text);
        let mut found = found.unwrap_or_else(|error| panic!("{}: {error}", self.path));
        assert_eq!(found.len(), 1, "{}", self.path);
        found.remove(0)
    }
}

/// Where the Score files of a folder of the library are.
pub(super) fn score_folder(file: &File) -> PathBuf {
    let library = "../downbeat-score/tests/data/corpus/example-library";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(library).join(file.folder())
}

/// All files of the library, by path.
///
/// They are kept in two places: each crate has those that its own tests need.
pub(super) fn files() -> Vec<File> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let score = here.join("../downbeat-score/tests/data/corpus/example-library");
    for (root, folder) in [
        (here.join("tests/data"), ".github"),
        (here.join("tests/data"), "pipelines"),
        (here.join("tests/data"), "resource-definitions"),
        (here.join("tests/data"), "resource-graph-patterns"),
        (score, "score"),
    ] {
        collect(&root, &root.join(folder), &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, path: &Path, files: &mut Vec<File>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(root, &entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        let kind = kind(&name, &text);
        files.push(File { path: name, text, kind });
    }
}

fn kind(path: &str, text: &str) -> Kind {
    let document = yaml::parse(text, &Limits::default()).unwrap();
    let member = |name: &str| document.get(name).and_then(Node::as_str).unwrap_or_default();
    match (member("kind"), member("apiVersion")) {
        ("Definition", _) => Kind::Definition,
        ("ScoreDeployConfig", _) => Kind::DeployConfig,
        (_, "score.dev/v1b1") => Kind::Score,
        (_, "humanitec.org/v1b1") => Kind::Extension,
        _ if path.starts_with("pipelines/") => Kind::Pipeline,
        _ if path.starts_with(".github/") => Kind::Workflow,
        other => panic!("{path} is none of what the library is known to hold: {other:?}"),
    }
}

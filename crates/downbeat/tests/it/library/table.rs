//! The page that lists every entity with its state.

use std::{env, fmt::Write as _, fs, path::Path};

use super::corpus::{File, Kind};

/// A line of the table.
pub(super) struct Row {
    path: String,
    id: String,
    makes: String,
    driver: String,
    state: State,
}

/// What becomes of an entity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Loaded and made, as its documentation says; with a remark on what was published.
    Checked(&'static str),
    /// Loaded and matched, and asked for as its documentation says; its driver changes the world,
    /// which a test of the library does not.
    Asked,
    /// Loaded and stored; a deployment that needs it fails and names this driver.
    Stored(String),
    /// Loaded; a deployment fails, as it has to, for this reason.
    Wrong(String),
    /// Loaded, and kept as it was sent; what is missing to do what it says.
    Kept(&'static str),
    /// Not loaded, for this reason.
    Left(&'static str),
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Checked(_) => "checked",
            Self::Asked => "asked for",
            Self::Stored(_) => "stored only",
            Self::Wrong(_) => "fails as published",
            Self::Kept(_) => "kept",
            Self::Left(_) => "not loaded",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Checked(text) | Self::Kept(text) | Self::Left(text) => text,
            Self::Asked => "",
            Self::Stored(text) | Self::Wrong(text) => text,
        }
    }
}

impl Row {
    pub(super) fn new(file: &File, state: State) -> Self {
        let (id, makes, driver) = match file.kind {
            Kind::Definition => {
                let definition = file.definition();
                (definition.id, definition.resource_type, definition.body.driver_type)
            }
            Kind::Score => (String::new(), "Score file".to_owned(), String::new()),
            Kind::Extension => (String::new(), "extension".to_owned(), String::new()),
            Kind::DeployConfig => (String::new(), "list of Score files".to_owned(), String::new()),
            Kind::Pipeline => (String::new(), "pipeline".to_owned(), String::new()),
            Kind::Workflow => (String::new(), "CI of the library".to_owned(), String::new()),
        };
        Self { path: file.path.clone(), id, makes, driver, state }
    }
}

const HEAD: &str = "\
# The example library

The [example library] is what people who know Humanitec's orchestrator copy from. All of its
definitions load through the API and come back as they were sent. This table says what becomes of
each file when it is deployed. It is written by a test, which makes every resource with the real
drivers and keeps what came out in `crates/downbeat/tests/golden/library`:
`cargo xtask library` writes both again. Another test compares what comes out with
`crates/downbeat/tests/expected`, which was written from the pages and comments of the library. The
number of checked files may only grow.

- **checked**: loaded, matched and made. It applies where it should, and not elsewhere; outputs,
  secrets, manifests and what it needs are what its documentation says, and the next deployment
  changes nothing. What a definition refers to and the library does not have is made by an echo
  definition of the test.
- **asked for**: loaded and matched, and its driver is asked for what the documentation says. The
  driver runs a program that needs a cloud, and is tested elsewhere. For `humanitec/container` the
  objects of the run are looked at as well; nothing runs them yet ([RES-109]).
- **stored only**: loaded and stored. A deployment that needs it fails with [RES-104], which names
  the driver that takes its place.
- **fails as published**: loaded. The file has a mistake, which the drivers of v1 refuse as well;
  without it, the file does what its documentation says.
- **kept**: loaded, and comes back byte for byte.
- **not loaded**: there is no place for it yet.

Definitions that were published without criteria apply to nothing; the test gives them `{}`.

[example library]: https://github.com/humanitec-architecture/example-library
[RES-104]: ../errors/RES-104.md
[RES-109]: ../errors/RES-109.md
";

fn text(rows: &[Row]) -> String {
    let mut text =
        format!("{HEAD}\n| state | definitions | other files | all |\n| --- | --- | --- | --- |\n");
    let mut count = |word: &str, rows: &[&Row]| {
        let definitions = rows.iter().filter(|row| !row.id.is_empty()).count();
        let (others, all) = (rows.len() - definitions, rows.len());
        writeln!(text, "| {word} | {definitions} | {others} | {all} |").unwrap();
    };
    for word in ["checked", "asked for", "stored only", "fails as published", "kept", "not loaded"]
    {
        count(word, &rows.iter().filter(|row| row.state.word() == word).collect::<Vec<_>>());
    }
    count("all", &rows.iter().collect::<Vec<_>>());
    let mut folder = "";
    for row in rows {
        let (of, name) = row.path.rsplit_once('/').unwrap();
        if of != folder {
            folder = of;
            write!(text, "\n## {of}\n\n").unwrap();
            text.push_str(
                "| file | id | makes | driver | state |\n| --- | --- | --- | --- | --- |\n",
            );
        }
        let code = |text: &str| match text {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        let Row { id, makes, driver, state, .. } = row;
        let makes = if id.is_empty() { makes.clone() } else { code(makes) };
        let why = match state.reason() {
            "" => state.word().to_owned(),
            reason => format!("{}: {reason}", state.word()),
        };
        writeln!(text, "| {name} | {} | {makes} | {} | {why} |", code(id), code(driver)).unwrap();
    }
    text.replace("|  |", "| |").replace("|  |", "| |")
}

/// How many files a page says are checked: definitions, others, all.
fn checked(page: &str) -> Vec<usize> {
    let line = page.lines().find_map(|line| line.strip_prefix("| checked | "));
    let counts = line.unwrap_or("0 | 0 | 0 |").trim_end_matches(" |").split(" | ");
    counts.map(|count| count.parse().unwrap()).collect()
}

/// Compares the page with what was found, or writes it when golden files are to be written.
pub(super) fn check(rows: &[Row]) {
    let page = "../../docs/reference/example-library.md";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let found = text(rows);
    let (before, now) = (checked(&committed), checked(&found));
    let floor = [92, 44, 136];
    assert!(now.iter().zip(floor).all(|(now, floor)| *now >= floor), "{now:?} files are checked");
    let grows = now.iter().zip(&before).all(|(now, before)| now >= before);
    assert!(grows, "{now:?} files are checked, and {before:?} were before");
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
        return;
    }
    let changed = found.lines().zip(committed.lines()).find(|(found, page)| found != page);
    assert!(
        found == committed,
        "docs/reference/example-library.md is not what was found, first at {changed:?}: run `cargo \
         xtask library` and look at what it changes"
    );
}

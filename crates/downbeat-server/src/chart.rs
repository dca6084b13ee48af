//! Reads the archive of a Helm chart: a gzipped tar file with one folder at its top.
//!
//! Nothing is unpacked to disk. Whatever the archive says, the work and the memory are bounded: by
//! its own size, the size of what is in it, and the number of entries. It is read to its end, so
//! that a damaged one is found here.

use std::{
    io::{self, Read},
    str,
};

use downbeat_core::{id::Grammar, yaml};
use flate2::read::MultiGzDecoder;
use semver::Version;
use tar::{Archive, Entry, EntryType};

use crate::problem::short;

/// Largest archive, in bytes.
pub const LARGEST: usize = 1024 * 1024;
/// Largest size of everything that is in an archive, in bytes.
const UNPACKED: u64 = 16 * 1024 * 1024;
/// Most entries of an archive.
const ENTRIES: usize = 1000;
/// Longest path of an entry, in bytes.
const LONGEST_PATH: usize = 1000;
/// Largest `Chart.yaml`, in bytes.
const LARGEST_FILE: u64 = 64 * 1024;
/// Longest name and longest version, in bytes.
const LONGEST: usize = 100;

/// What a chart says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// Its version, as it is written.
    pub version: String,
}

/// Why an archive is not that of a chart: a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

type Result<T> = std::result::Result<T, Refused>;

fn refuse<T>(why: impl Into<String>) -> Result<T> {
    Err(Refused(why.into()))
}

/// Reads an archive.
///
/// # Errors
/// When it is not that of a chart, or exceeds a limit.
pub fn read(archive: &[u8]) -> Result<Chart> {
    if archive.len() > LARGEST {
        let bytes = archive.len();
        return refuse(format!("the archive has {bytes} bytes; {LARGEST} are the most"));
    }
    let unpacked = Unpacked { inner: MultiGzDecoder::new(archive), left: UNPACKED };
    let mut archive = Archive::new(unpacked);
    let mut reader = Reader::default();
    for (number, entry) in archive.entries().map_err(|error| damaged(&error))?.enumerate() {
        if number == ENTRIES {
            return refuse(format!("the archive has more than {ENTRIES} entries"));
        }
        reader.entry(entry.map_err(|error| damaged(&error))?)?;
    }
    // What follows the last entry has to be sound as well.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| damaged(&error))?;
    let Some(folder) = reader.folder else { return refuse("the archive is empty") };
    let Some(text) = reader.chart else {
        return refuse(format!("there is no `Chart.yaml` in the folder `{}`", short(&folder)));
    };
    chart(&text)
}

#[derive(Default)]
struct Reader {
    /// The one folder at the top.
    folder: Option<String>,
    /// The text of its `Chart.yaml`.
    chart: Option<String>,
}

impl Reader {
    fn entry(&mut self, mut entry: Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = entry.path_bytes().into_owned();
        let path = parts(&path)?;
        let is_folder = kind.is_dir();
        if !is_folder && !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            let path = short(&path.join("/"));
            return refuse(format!("`{path}` is neither a file nor a folder"));
        }
        let Some((top, below)) = path.split_first() else { return Ok(()) };
        if below.is_empty() && !is_folder {
            return refuse(format!("the file `{}` is in no folder", short(top)));
        }
        match &self.folder {
            None => self.folder = Some((*top).to_owned()),
            Some(folder) if folder == top => {}
            Some(folder) => {
                let (folder, top) = (short(folder), short(top));
                return refuse(format!("there is more than one folder: `{folder}` and `{top}`"));
            }
        }
        if !is_folder && *below == ["Chart.yaml"] {
            if self.chart.is_some() {
                return refuse("there is more than one `Chart.yaml`");
            }
            let mut text = String::new();
            if entry.size() > LARGEST_FILE {
                return refuse(format!("`Chart.yaml` has more than {LARGEST_FILE} bytes"));
            }
            entry.read_to_string(&mut text).map_err(|error| damaged(&error))?;
            self.chart = Some(text);
        }
        Ok(())
    }
}

/// The parts of a path that stays below the folder it begins in.
fn parts(path: &[u8]) -> Result<Vec<&str>> {
    let Ok(path) = str::from_utf8(path) else { return refuse("a path is not UTF-8") };
    let shown = || short(&path.escape_default().to_string());
    if path.is_empty() || path.len() > LONGEST_PATH {
        return refuse(format!("the path `{}` is empty or too long", shown()));
    }
    if path.contains(|letter: char| letter.is_control() || matches!(letter, '\\' | ':')) {
        return refuse(format!("the path `{}` has letters that no path here has", shown()));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if path.starts_with('/') || parts.contains(&"..") {
        return refuse(format!("the path `{}` leads out of the archive", shown()));
    }
    Ok(parts)
}

fn chart(text: &str) -> Result<Chart> {
    let bytes = text.len();
    let limits = yaml::Limits { bytes, ..yaml::Limits::default() };
    let file = yaml::parse(text, &limits)
        .map_err(|error| Refused(format!("`Chart.yaml` is not valid YAML: {error}")))?;
    let member = |name: &str| match file.get(name).and_then(yaml::Node::as_str) {
        Some(value) => Ok(value.to_owned()),
        None => refuse(format!("`Chart.yaml` does not say its `{name}`, or not as a text")),
    };
    let (name, version) = (member("name")?, member("version")?);
    if !Grammar::ValueKey.accepts(&name) || name.len() > LONGEST {
        let (name, rule) = (short(&name), Grammar::ValueKey.expected());
        return refuse(format!("`{name}` is not valid as `name` of a chart: use {rule}"));
    }
    if version.len() > LONGEST {
        return refuse(format!("the `version` of the chart has more than {LONGEST} bytes"));
    }
    if let Err(error) = Version::parse(&version) {
        let version = short(&version);
        return refuse(format!("`{version}` is not a semantic version such as 1.2.3: {error}"));
    }
    Ok(Chart { name, version })
}

/// Whether a version may follow another one: it is not older.
#[must_use]
pub fn may_follow(version: &str, before: &str) -> bool {
    match (Version::parse(version), Version::parse(before)) {
        (Ok(version), Ok(before)) => version.cmp_precedence(&before).is_ge(),
        _ => true,
    }
}

fn damaged(error: &io::Error) -> Refused {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()) {
        Some(_) => Refused(format!("what is in the archive has more than {UNPACKED} bytes")),
        None => Refused(format!("it is not a gzipped tar file: {error}")),
    }
}

/// The limit on what is in an archive was reached.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too much is in the archive")]
struct TooMuch;

/// What is in an archive, up to the limit.
struct Unpacked<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooMuch)),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    use super::*;

    const CHART: &str = "\napiVersion: v2\nname: my-chart\nversion: 1.0.0\n";

    struct Tar(Builder<GzEncoder<Vec<u8>>>);

    impl Tar {
        fn new() -> Self {
            Self(Builder::new(GzEncoder::new(Vec::new(), Compression::default())))
        }

        /// Any path, also one that no careful program writes.
        fn add(mut self, kind: EntryType, path: &str, content: &[u8]) -> Self {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            self.0.append(&header, content).unwrap();
            self
        }

        fn file(self, path: &str, content: &str) -> Self {
            self.add(EntryType::Regular, path, content.as_bytes())
        }

        fn done(self) -> Vec<u8> {
            self.0.into_inner().unwrap().finish().unwrap()
        }
    }

    fn check(archive: &[u8], says: &str) {
        let refused = read(archive).unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }

    #[test]
    fn reads_what_clients_make() {
        let expected = Chart { name: "my-chart".to_owned(), version: "1.0.0".to_owned() };
        // Folders with and without a slash, or not at all; the folder is called as it likes.
        let folder = Tar::new().add(EntryType::Directory, "tph-123", b"");
        for tar in [
            folder.file("tph-123/Chart.yaml", CHART),
            Tar::new().add(EntryType::Directory, "a/", b"").file("a/Chart.yaml", CHART),
            Tar::new().file("./a/templates/x.yaml", "{{ }}").file("./a/Chart.yaml", CHART),
            Tar::new().file("a/charts/b/Chart.yaml", "no").file("a/Chart.yaml", CHART),
        ] {
            assert_eq!(read(&tar.done()), Ok(expected.clone()));
        }
    }

    #[test]
    fn refuses_what_is_no_archive() {
        check(b"", "not a gzipped tar file");
        check(b"PK\x03\x04", "not a gzipped tar file");
        let archive = Tar::new().file("a/Chart.yaml", CHART).done();
        check(&archive[..archive.len() - 9], "not a gzipped tar file");
        let mut changed = archive.clone();
        *changed.iter_mut().rev().nth(6).unwrap() ^= 1;
        check(&changed, "not a gzipped tar file");
        let mut plain = GzEncoder::new(Vec::new(), Compression::default());
        plain.write_all(b"just a text").unwrap();
        check(&plain.finish().unwrap(), "not a gzipped tar file");
        check(&Tar::new().done(), "is empty");
    }

    #[test]
    fn refuses_what_costs_too_much() {
        check(&vec![0; LARGEST + 1], "are the most");
        // A thousandth of it arrives.
        let mut bomb = Tar::new();
        let zeros = vec![0; usize::try_from(UNPACKED).unwrap()];
        bomb = bomb.add(EntryType::Regular, "a/zeros", &zeros);
        let bomb = bomb.done();
        assert!(bomb.len() < 100_000);
        check(&bomb, "more than 16777216 bytes");
        // The size that a header claims is not believed.
        let mut header = Header::new_gnu();
        header.set_path("a/Chart.yaml").unwrap();
        header.set_size(u64::MAX / 2);
        header.set_cksum();
        let mut claims = GzEncoder::new(Vec::new(), Compression::default());
        claims.write_all(header.as_bytes()).unwrap();
        check(&claims.finish().unwrap(), "`Chart.yaml` has more than 65536 bytes");
        // Long names are kept in memory.
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(UNPACKED * 1000);
        header.set_cksum();
        let mut long = GzEncoder::new(Vec::new(), Compression::default());
        long.write_all(header.as_bytes()).unwrap();
        long.write_all(&zeros).unwrap();
        check(&long.finish().unwrap(), "more than 16777216 bytes");
        let mut many = Tar::new().file("a/Chart.yaml", CHART);
        for _ in 0..ENTRIES {
            many = many.file("a/x", "");
        }
        check(&many.done(), "more than 1000 entries");
        let large = format!("{CHART}description: {}", "x".repeat(70_000));
        check(&Tar::new().file("a/Chart.yaml", &large).done(), "more than 65536 bytes");
    }

    #[test]
    fn refuses_paths_that_lead_elsewhere() {
        for (path, says) in [
            ("/a/Chart.yaml", "leads out"),
            ("a/../../Chart.yaml", "leads out"),
            ("..", "leads out"),
            ("a\\..\\x", "letters"),
            ("C:/x", "letters"),
            ("a/\x07", "letters"),
            ("Chart.yaml", "in no folder"),
            ("./Chart.yaml", "in no folder"),
            ("b/Chart.yaml", "more than one folder"),
        ] {
            check(&Tar::new().file("a/values.yaml", "").file(path, CHART).done(), says);
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Char] {
            let tar = Tar::new().file("a/Chart.yaml", CHART);
            check(&tar.add(kind, "a/x", b"").done(), "neither a file nor a folder");
        }
        check(&Tar::new().add(EntryType::Regular, "a/\u{fffd}", b"").done(), "no `Chart.yaml`");
    }

    #[test]
    fn refuses_what_is_no_chart() {
        let check = |text: &str, says: &str| {
            check(&Tar::new().file("a/Chart.yaml", text).done(), says);
        };
        check("", "does not say its `name`");
        check("- name: x", "does not say its `name`");
        check("name: x", "does not say its `version`");
        check("name: x\nversion: 1.0", "does not say its `version`");
        check("name: x y\nversion: 1.0.0", "not valid as `name`");
        check("name: ../x\nversion: 1.0.0", "not valid as `name`");
        check("name: x\nversion: 1.0.x", "not a semantic version");
        check("name: x\nversion: latest", "not a semantic version");
        check("name: [", "not valid YAML");
        check(&format!("name: {}\nversion: 1.0.0", "x".repeat(101)), "not valid as `name`");
        let twice = Tar::new().file("a/Chart.yaml", CHART).file("a/./Chart.yaml", CHART);
        assert_eq!(read(&twice.done()).unwrap_err().0, "there is more than one `Chart.yaml`");
    }

    /// Not at random: the same changes each time.
    #[test]
    fn no_archive_is_too_strange() {
        let mut plain = Vec::new();
        let archive = Tar::new()
            .add(EntryType::GNULongName, "././@LongLink", b"a/a-long-name\0")
            .file("a/x", "y")
            .add(EntryType::XHeader, "pax", b"20 path=a/Chart.yaml\n")
            .file("a/Chart.yaml", CHART)
            .done();
        MultiGzDecoder::new(&*archive).read_to_end(&mut plain).unwrap();
        let mut state = 1_u64;
        let mut next = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..2000 {
            let mut changed = plain.clone();
            for _ in 0..=next(4) {
                let (at, byte) = (next(changed.len()), u8::try_from(next(256)).unwrap());
                changed[at] = byte;
                if next(4) == 0 {
                    // Headers with the right sum are read further.
                    let block = at / 512 * 512;
                    let mut header = Header::new_old();
                    header.as_mut_bytes().copy_from_slice(&changed[block..block + 512]);
                    header.set_cksum();
                    changed[block..block + 512].copy_from_slice(header.as_bytes());
                }
            }
            changed.truncate(changed.len() - next(3) * 300);
            let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
            zip.write_all(&changed).unwrap();
            if let Ok(chart) = read(&zip.finish().unwrap()) {
                assert!(Grammar::ValueKey.accepts(&chart.name), "{chart:?}");
            }
        }
    }

    #[test]
    fn versions_do_not_go_back() {
        for (version, before, expected) in [
            ("1.0.1", "1.0.0", true),
            ("1.10.0", "1.9.0", true),
            ("1.0.0+b", "1.0.0+a", true),
            ("1.0.0", "1.0.0-rc.1", true),
            ("1.0.0-rc.1", "1.0.0", false),
            ("0.9.9", "1.0.0", false),
        ] {
            assert_eq!(may_follow(version, before), expected, "{version} after {before}");
        }
    }
}

//! Score files on disk.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use downbeat_score::{
    Checked, Converted, FileError, Files, Options, Overlay, Property, Source, check,
};

use crate::{
    cli::ScoreOptions,
    report::{self, Failure},
};

/// Largest file that a Score file may name as `source`.
const SOURCE_BYTES: u64 = 1024 * 1024;
/// Largest Score file that is read; larger ones are not read at all.
const SCORE_BYTES: u64 = 4 * 1024 * 1024;

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
    let name = path.display().to_string();
    let text = read_text(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let checked = check(&Source { name: &name, text: &text }, options, &Beside(folder));
    let mut texts = vec![(name, text)];
    for overlay in options.overrides.iter().chain(&options.extension) {
        if let Overlay::Text { name, text } = overlay {
            texts.push((name.clone(), text.clone()));
        }
    }
    report::diagnostics(&checked.diagnostics, &texts);
    Ok(checked)
}

/// Converts all files, after printing what is wrong with any of them.
pub(crate) fn convert_all(
    paths: &[PathBuf],
    arguments: &ScoreOptions,
) -> Result<Vec<Converted>, Failure> {
    let options = options(arguments)?;
    let mut converted: Vec<Converted> = Vec::with_capacity(paths.len());
    let mut failed = 0;
    for path in paths {
        match check_one(path, &options)?.converted {
            Some(one) => {
                if let Some(twin) = converted.iter().find(|twin| twin.name == one.name) {
                    return Err(Failure::new(format!(
                        "{} describes workload {:?}, and so does another file",
                        path.display(),
                        twin.name
                    )));
                }
                converted.push(one);
            }
            None => failed += 1,
        }
    }
    match failed {
        0 => Ok(converted),
        1 => Err(Failure::new("1 file has mistakes; nothing was done")),
        many => Err(Failure::new(format!("{many} files have mistakes; nothing was done"))),
    }
}

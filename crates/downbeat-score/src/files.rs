//! The port for files that a Score file names (`files.<target>.source`).

use std::{collections::BTreeMap, fmt};

/// Reads files next to the Score file.
pub trait Files {
    /// Reads the file that the Score file calls `path`; a relative path is relative to the Score
    /// file.
    ///
    /// # Errors
    /// When it cannot be read, or must not be.
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError>;
}

/// Why a file was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// There is no such file.
    NotFound,
    /// Files are out of reach here: the Score file is converted on a server.
    Unavailable,
    /// The path leads out of the directory of the Score file, or is otherwise forbidden.
    Forbidden,
    /// The file is too large.
    TooLarge {
        /// The most bytes a file may have.
        limit: usize,
    },
    /// The operating system refused, in its words.
    Refused(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such file"),
            Self::Unavailable => f.write_str("files cannot be read here"),
            Self::Forbidden => f.write_str("the path is not allowed"),
            Self::TooLarge { limit } => write!(f, "the file is larger than {limit} bytes"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for FileError {}

/// No files at all: conversion on a server, where a `source` is a mistake.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Vec<u8>, FileError> {
        Err(FileError::Unavailable)
    }
}

/// Files in memory, by the path that the Score file says.
impl Files for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        self.get(path).cloned().ok_or(FileError::NotFound)
    }
}

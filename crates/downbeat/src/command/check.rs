//! `downbeat check`

use crate::{
    cli::Check,
    report::{Failure, Style, paint},
    score_file,
};

pub(crate) fn run(arguments: &Check) -> Result<(), Failure> {
    let options = score_file::options(&arguments.score)?;
    let mut mistakes = 0;
    for path in &arguments.files {
        let checked = score_file::check_one(path, &options)?;
        mistakes += checked.errors().count();
        if checked.is_ok() {
            eprintln!("{} {}", paint(Style::Green, "ok"), path.display());
        }
    }
    match mistakes {
        0 => Ok(()),
        1 => Err(Failure::new("1 mistake")),
        many => Err(Failure::new(format!("{many} mistakes"))),
    }
}

//! `downbeat check`

use crate::{
    cli::Check,
    report::{Failure, Style, count, paint, say},
    score_file,
};

pub(crate) fn run(arguments: &Check) -> Result<(), Failure> {
    let options = score_file::options(&arguments.score)?;
    let (mut errors, mut warnings) = (0, 0);
    for path in &arguments.files {
        let checked = score_file::check_one(path, &options)?;
        let wrong = checked.errors().count();
        let doubtful = checked.diagnostics.len() - wrong;
        errors += wrong;
        warnings += doubtful;
        if checked.is_ok() {
            let but = if doubtful == 0 { String::new() } else { format!(", {}", many(doubtful)) };
            say(format_args!("{} {}{but}", paint(Style::Green, "ok"), path.display()));
        }
    }
    let sum = format!("{}, {}", count(errors, "error"), many(warnings));
    if errors > 0 {
        return Err(Failure::new(sum));
    }
    say(sum);
    Ok(())
}

fn many(warnings: usize) -> String {
    count(warnings, "warning")
}

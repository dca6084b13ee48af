//! `downbeat explain`

use downbeat_core::Code;

use crate::{
    cli::Explain,
    report::{Failure, choice, out},
};

include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

pub(crate) fn run(arguments: &Explain) -> Result<(), Failure> {
    let code = arguments.code.to_uppercase();
    let file = format!("{code}.md");
    match FILES.iter().find(|(name, _)| *name == file) {
        Some((_, page)) => out(page),
        None => {
            let known = Code::ALL.iter().map(|code| code.as_str());
            Err(Failure::not_found(format!("there is no error code {code:?}"))
                .hint(choice(&code, "codes", known)))
        }
    }
}

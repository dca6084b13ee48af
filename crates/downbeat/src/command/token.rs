//! `downbeat token`

use crate::{
    cli::Token,
    local,
    report::{Failure, out, say},
};

pub(crate) async fn run(arguments: Token) -> Result<(), Failure> {
    let data = match arguments.data {
        Some(data) => data,
        None => local::default_data()?,
    };
    let token = local::new_token(&data).await?;
    say("The administrator's new token; the one before is no longer valid:");
    out(&format!("{}\n", token.expose()))
}

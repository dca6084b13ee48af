//! `downbeat api`

use downbeat_api::client::Method;
use downbeat_core::Json;

use crate::{
    cli::Api,
    report::{Failure, out},
    session::Session,
};

pub(crate) async fn run(arguments: Api) -> Result<(), Failure> {
    let method = match arguments.method.to_lowercase().as_str() {
        "get" => Method::GET,
        "post" => Method::POST,
        "put" => Method::PUT,
        "patch" => Method::PATCH,
        "delete" => Method::DELETE,
        other => {
            return Err(Failure::usage(format!(
                "{other:?} is not a method; use get, post, put, patch or delete"
            )));
        }
    };
    let body = arguments.data_json.as_deref().map(serde_json::from_str::<Json>).transpose();
    let body = body.map_err(|error| Failure::usage(format!("the body is not JSON: {error}")))?;
    let session = Session::open(&arguments.connection).await?;
    let path = format!("/{}", arguments.path.trim_start_matches('/'));
    let answer = session.client.send::<Json>(method, &path, body).await;
    session.close().await;
    let answer = answer?;
    if answer.is_null() { Ok(()) } else { out(&format!("{answer:#}\n")) }
}

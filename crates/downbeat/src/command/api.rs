//! `downbeat api`

use downbeat_api::client::Method;
use downbeat_core::Json;

use crate::{cli::Api, report::Failure, session::Session};

pub(crate) async fn run(arguments: Api) -> Result<(), Failure> {
    let method = Method::from_bytes(arguments.method.to_uppercase().as_bytes())
        .map_err(|_| Failure::Usage(format!("{:?} is not a method", arguments.method)))?;
    let body = arguments.data_json.as_deref().map(serde_json::from_str::<Json>).transpose();
    let body = body.map_err(|error| Failure::Usage(format!("the body is not JSON: {error}")))?;
    let session = Session::open(&arguments.connection).await?;
    let answer = session.client.send::<Json>(method, &arguments.path, body).await;
    session.close().await;
    let answer = answer?;
    if !answer.is_null() {
        println!("{answer:#}");
    }
    Ok(())
}

//! `downbeat apply`

use downbeat_api::client::{Client, Method, path};
use downbeat_core::{Json, definition_file::DefinitionFile};

use crate::{
    cli::Apply,
    report::{Failure, Style, paint},
    session::Session,
    starter,
};

pub(crate) async fn run(arguments: Apply) -> Result<(), Failure> {
    let definitions = starter::from_paths(&arguments.file)?;
    let session = Session::open(&arguments.connection).await?;
    let mut result = Ok(());
    for definition in &definitions {
        match apply(&session.client, &session.org, definition).await {
            Ok(word) => eprintln!("{} definition {}", paint(Style::Green, word), definition.id),
            Err(failure) => {
                result = Err(failure);
                break;
            }
        }
    }
    session.close().await;
    result
}

/// Creates the definition, or replaces it and makes its criteria equal to those of the file.
async fn apply(
    client: &Client,
    org: &str,
    definition: &DefinitionFile,
) -> Result<&'static str, Failure> {
    let defs = ["orgs", org, "resources", "defs"];
    let one = [&defs[..], &[definition.id.as_str()]].concat();
    let known = client.send::<Json>(Method::GET, &path(&one), None).await;
    match known {
        Ok(known) => {
            let known_type = known.get("type").and_then(Json::as_str);
            if known_type != Some(definition.resource_type.as_str()) {
                return Err(Failure::with_hint(
                    format!(
                        "definition {:?} is of type {:?}, and the type cannot be changed",
                        definition.id,
                        known_type.unwrap_or_default()
                    ),
                    "Give the definition another id",
                ));
            }
            let mut body = definition.request.clone();
            let criteria = body.remove("criteria").unwrap_or_else(|| Json::Array(Vec::new()));
            let _: Json = client.send(Method::PUT, &path(&one), Some(Json::Object(body))).await?;
            let all = [&one[..], &["criteria"]].concat();
            let _: Json = client.send(Method::PUT, &path(&all), Some(criteria)).await?;
            Ok("replaced")
        }
        Err(error) if error.status() == Some(404) => {
            let body = Json::Object(definition.request.clone());
            let _: Json = client.send(Method::POST, &path(&defs), Some(body)).await?;
            Ok("created")
        }
        Err(error) => Err(error.into()),
    }
}

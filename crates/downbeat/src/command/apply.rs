//! `downbeat apply`

use downbeat_api::client::{Client, Method, path};
use downbeat_core::{Criteria, Json, definition_file::DefinitionFile};

use crate::{
    cli::Apply,
    report::{Failure, Style, paint, say},
    session::Session,
    starter::{self, Located},
};

pub(crate) async fn run(arguments: Apply) -> Result<(), Failure> {
    let definitions = starter::from_paths(&arguments.file)?;
    let session = Session::open(&arguments.connection).await?;
    let result = apply_all(&session, &definitions).await;
    session.close().await;
    result
}

async fn apply_all(session: &Session, definitions: &[Located]) -> Result<(), Failure> {
    for one in definitions {
        let definition = &one.definition;
        let applied = apply(&session.client, &session.org, definition).await;
        let word = applied.map_err(|failure| failure.at(one.place()))?;
        let (id, what) = (&definition.id, what_it_matches(definition));
        say(format_args!("{} definition {id}: {what}", paint(Style::Green, word)));
    }
    Ok(())
}

/// The type, and under which conditions.
fn what_it_matches(definition: &DefinitionFile) -> String {
    let criteria: Vec<String> = definition.criteria.iter().map(condition).collect();
    let when =
        if criteria.is_empty() { "never matches".to_owned() } else { criteria.join("; or ") };
    format!("{}, {when}", definition.resource_type)
}

fn condition(criteria: &Criteria) -> String {
    let dimensions = [
        ("app", &criteria.app_id),
        ("env", &criteria.env_id),
        ("env type", &criteria.env_type),
        ("resource", &criteria.res_id),
    ];
    let named = dimensions.into_iter().filter_map(|(name, id)| Some((name, id.as_deref()?)));
    let named = named.filter(|(_, id)| !id.is_empty()).map(|(name, id)| format!(", {name} {id}"));
    format!("class {}{}", criteria.class(), named.collect::<String>())
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
                return Err(Failure::new(format!(
                    "definition {:?} is of type {:?}, and the type cannot be changed",
                    definition.id,
                    known_type.unwrap_or_default()
                ))
                .hint("Give the definition another id"));
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

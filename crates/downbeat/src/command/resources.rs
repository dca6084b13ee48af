//! `downbeat resources`

use downbeat_api::{
    active_resource::{ActiveResource, Removal},
    client::Method,
};

use crate::{
    cli::Resources,
    place::Place,
    report::{self, Failure, Style, out, paint, say},
    session::Session,
};

pub(crate) async fn run(arguments: Resources) -> Result<(), Failure> {
    let session = Session::open(&arguments.connection).await?;
    let place = Place { session: &session, app: &arguments.app, env: &arguments.env };
    let found = async { Ok::<_, Failure>((list(&place).await?, open_removals(&place).await?)) };
    let found = found.await;
    session.close().await;
    let (resources, removals) = found?;
    if resources.is_empty() {
        say(format_args!("nothing exists in {} yet", arguments.env));
        return Ok(());
    }
    out(&table(&resources))?;
    for removal in removals {
        let state = paint(Style::Cyan, &format!("{}:", removal.state));
        let why = removal.error.map_or_else(String::new, |error| {
            format!(", tried {} times: {} {}", removal.attempts, error.code, error.message)
        });
        say(format_args!(
            "{state} {}{why}",
            name(&removal.r#type, &removal.class, &removal.res_id)
        ));
    }
    Ok(())
}

/// What exists; says what is missing when it cannot be known.
pub(super) async fn list(place: &Place<'_>) -> Result<Vec<ActiveResource>, Failure> {
    match place.client().send(Method::GET, &place.path(&["resources"]), None).await {
        Err(error) if error.status() == Some(404) => Err(place.missing().await?),
        other => Ok(other?),
    }
}

/// What is to be freed.
pub(super) async fn open_removals(place: &Place<'_>) -> Result<Vec<Removal>, Failure> {
    let path = place.path(&["resources", "removals"]);
    let mut removals: Vec<Removal> = place.client().send(Method::GET, &path, None).await?;
    removals.retain(|one| matches!(one.state.as_str(), "held" | "pending" | "given up"));
    Ok(removals)
}

/// A resource as people write it.
pub(super) fn name(kind: &str, class: &str, id: &str) -> String {
    format!("{kind}.{class}#{id}")
}

fn table(resources: &[ActiveResource]) -> String {
    let head = ["RESOURCE", "STATUS", "DEFINITION", "DRIVER", "DEPLOYMENT"].map(str::to_owned);
    let rows = resources.iter().map(|one| {
        [
            name(&one.r#type, &one.class, &one.res_id),
            one.status.clone(),
            one.def_id.clone(),
            one.driver_type.clone(),
            one.deploy_id.clone(),
        ]
    });
    report::table(std::iter::once(head).chain(rows))
}

//! `downbeat history`

use downbeat_api::deployment::Deployment;

use crate::{
    cli::History,
    place::Place,
    report::{self, Failure, out, say},
    session::Session,
};

pub(crate) async fn run(arguments: History) -> Result<(), Failure> {
    let session = Session::open(&arguments.connection).await?;
    let place = Place { session: &session, app: &arguments.app, env: &arguments.env };
    let deployments = place.history().await;
    session.close().await;
    let deployments = deployments?;
    if deployments.is_empty() {
        say(format_args!("nothing was deployed to {} yet", arguments.env));
        return Ok(());
    }
    out(&table(&deployments))
}

fn table(deployments: &[Deployment]) -> String {
    let head = ["DEPLOYMENT", "STATUS", "SET", "CREATED", "BY", "COMMENT"].map(str::to_owned);
    let rows = deployments.iter().map(|one| {
        [
            one.id.clone(),
            one.status.clone(),
            one.set_id.chars().take(12).collect(),
            one.created_at.to_string(),
            one.created_by.clone(),
            one.comment.lines().next().unwrap_or_default().to_owned(),
        ]
    });
    report::table(std::iter::once(head).chain(rows))
}

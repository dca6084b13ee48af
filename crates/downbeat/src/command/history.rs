//! `downbeat history`

use downbeat_api::deployment::Deployment;

use crate::{
    cli::History,
    place::Place,
    report::{Failure, out, say},
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
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().map(|row| line(row, widths)).collect()
}

fn line(row: &[String; 6], widths: [usize; 6]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    let cells: Vec<String> = cells.collect();
    format!("{}\n", cells.join("  ").trim_end())
}

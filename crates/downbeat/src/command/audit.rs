//! `downbeat audit`

use downbeat_store::{
    AnyConnection, Result,
    audit::{self, Flaw, Verified},
};

use crate::{
    cli::{Audit, AuditCommand, AuditVerify, Head},
    local,
    report::{self, Failure, out},
};

/// A log that belongs to no organization.
const NONE: &str = "-";

pub(crate) async fn run(arguments: Audit) -> Result<(), Failure> {
    match arguments.command {
        AuditCommand::Verify(verify) => self::verify(verify).await,
    }
}

async fn verify(arguments: AuditVerify) -> Result<(), Failure> {
    let data = match arguments.data {
        Some(data) => data,
        None => local::default_data()?,
    };
    let db = local::open_to_read(&data).await?;
    let unread = |error| {
        Failure::new(format!("the log cannot be read: {:#}", anyhow::Error::new(error)))
            .hint("`downbeat serve` brings a database of an older version up to date")
    };
    let mut conn = db.read().await.map_err(unread)?;
    let logs = walk(&mut conn).await.map_err(unread)?;
    out(&table(&logs))?;
    let flawed = logs.iter().find_map(|(org, verified)| Some((org, verified.flaw.as_ref()?)));
    if let Some((org, flaw)) = flawed {
        return Err(broken(org, flaw));
    }
    for head in &arguments.head {
        let found = audit::find_hash(&mut conn, &head.hash).await.map_err(unread)?;
        check(head, found)?;
    }
    drop(conn);
    db.close().await;
    Ok(())
}

async fn walk(conn: &mut AnyConnection) -> Result<Vec<(String, Verified)>> {
    let mut logs = Vec::new();
    for org in audit::chains(conn).await? {
        let verified = audit::verify(conn, &org).await?;
        logs.push((org, verified));
    }
    Ok(logs)
}

fn table(logs: &[(String, Verified)]) -> String {
    let head = ["ORGANIZATION", "ENTRIES", "LEFT OUT", "HEAD"].map(str::to_owned);
    let rows = logs.iter().map(|(org, Verified { entries, left_out, head, .. })| {
        let end = if head.is_empty() { NONE.to_owned() } else { format!("{head}@{entries}") };
        [name(org).to_owned(), entries.to_string(), left_out.to_string(), end]
    });
    report::table(std::iter::once(head).chain(rows))
}

fn name(org: &str) -> &str {
    if org.is_empty() { NONE } else { org }
}

fn broken(org: &str, flaw: &Flaw) -> Failure {
    let what = match flaw {
        Flaw::Missing(number) => format!("entry {number} is missing"),
        Flaw::Altered(number) => format!("entry {number} is not what was written"),
    };
    Failure::new(format!("the log of {} is broken: {what}", name(org)))
        .hint("What comes before is sound. Compare the rest with a backup of the data directory")
}

/// A noted head has to be in a log that is sound.
fn check(Head { hash, number }: &Head, found: Option<(String, i64)>) -> Result<(), Failure> {
    match (number, found) {
        (Some(noted), Some((org, found))) if *noted != found => Err(Failure::new(format!(
            "{hash} is entry {found} of the log of {}, not entry {noted}",
            name(&org)
        ))
        .hint("Was it noted right?")),
        (_, Some(_)) => Ok(()),
        (number, None) => {
            let noted = number.map(|number| format!(" (entry {number})")).unwrap_or_default();
            Err(Failure::new(format!(
                "no entry has the hash {hash}{noted}: the end of the log was cut off, or the log \
                 was rewritten, after it was noted"
            ))
            .hint("Compare with a backup of the data directory from that time"))
        }
    }
}

//! `/orgs/{orgId}/audit-logs`: what was changed, by whom.
//!
//! A page goes on below the number of the last entry that was shown, so what is written meanwhile
//! moves nothing. Its token is that number.

use std::{fmt::Display, str::FromStr};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use downbeat_api::audit::AuditLogEntry;
use downbeat_store::audit::{self as store, Document, Entry, Wanted};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState, Problem, Result,
    access::Caller,
    extract::{Path, Query},
    problem::short,
};

/// Entries of a page when nothing is said, and at most.
const PER_PAGE: (usize, usize) = (50, 100);
/// Longest time that the entries of a page span.
const SPAN: SignedDuration = SignedDuration::from_hours(32 * 24);
/// Documents of a page in bytes, above which no entry is added to it.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Operations of this noun.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which entries to list. What is empty counts as absent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only entries of this time and later.
    #[param(value_type = Option<String>, nullable = false, format = DateTime)]
    from: Option<String>,
    /// Only entries before this time.
    #[param(value_type = Option<String>, nullable = false, format = DateTime)]
    to: Option<String>,
    /// Largest number of entries to answer at once.
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 100, default = 50)]
    per_page: Option<String>,
    /// Token of the page, as the header `Link` of the page before has it.
    #[param(nullable = false)]
    page: Option<String>,
}

/// Lists what was changed, newest first. A page spans at most 32 days; the header `Link` leads to
/// the next one. For administrators only.
#[utoipa::path(
    get, path = "/orgs/{orgId}/audit-logs",
    operation_id = "listAuditLogEntries", tag = "AuditLogs",
    params(Filter),
    responses((
        status = 200, body = Vec<AuditLogEntry>, description = "The entries.",
        headers(("Link" = String, description = "The next page, as `<…>; rel=\"next\"`.")),
    )),
)]
async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    // A `GET` that tells what only those may know who may change everything.
    let scope = caller.scope(&org)?;
    let from: Option<Timestamp> = read("from", filter.from.as_deref(), MOMENT)?;
    let to: Option<Timestamp> = read("to", filter.to.as_deref(), MOMENT)?;
    let below = read("page", filter.page.as_deref(), "use the token of a header `Link`")?;
    let rule = format!("use a number from 1 to {}", PER_PAGE.1);
    let per_page = match read::<usize>("per_page", filter.per_page.as_deref(), &rule)? {
        None => PER_PAGE.0,
        Some(number) if (1..=PER_PAGE.1).contains(&number) => number,
        Some(number) => return Err(wrong("per_page", number, &rule)),
    };
    // One more says whether there is another page.
    let limit = i64::try_from(per_page + 1).unwrap_or(i64::MAX);
    let wanted = Wanted { from, to, below, limit };
    let mut rows = store::list(&mut *state.db.read().await?, &scope, wanted).await?;
    let length = length_of_page(&rows, per_page);
    let is_last = length == rows.len();
    rows.truncate(length);
    let next = rows.last().filter(|_| !is_last).map(|row| row.number);
    let mut response = Json(rows.into_iter().map(wire).collect::<Vec<_>>()).into_response();
    if let Some(number) = next {
        let mut link = format!("/orgs/{org}/audit-logs?per_page={per_page}&page={number}");
        for (name, time) in [("from", from), ("to", to)] {
            link.extend(time.map(|time| format!("&{name}={time}")));
        }
        let link = HeaderValue::try_from(format!("<{link}>; rel=\"next\""));
        let link = link.map_err(|error| Problem::internal(&error))?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// How many of these entries, newest first, are one page.
fn length_of_page(rows: &[Entry], per_page: usize) -> usize {
    let Some(first) = rows.first() else { return 0 };
    let oldest = first.change.at.checked_sub(SPAN).unwrap_or(Timestamp::MIN);
    let mut bytes = 0;
    let fits = |row: &&Entry| {
        let documents = [&row.change.before, &row.change.after];
        let earlier = bytes;
        bytes += documents.into_iter().flatten().map(Document::bytes).sum::<usize>();
        row.change.at > oldest && earlier < PAGE_BYTES
    };
    rows.iter().take(per_page).take_while(fits).count()
}

/// What a time has to look like.
const MOMENT: &str = "use a time such as 2026-01-31T12:00:00Z";

/// A parameter; nothing when it is empty.
fn read<T: FromStr>(name: &str, text: Option<&str>, rule: &str) -> Result<Option<T>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| wrong(name, text, rule))
}

fn wrong(name: &str, found: impl Display, rule: &str) -> Problem {
    let found = short(&found.to_string());
    Problem::invalid(format!("`{found}` is not valid as `{name}`: {rule}.")).at(name, rule)
}

fn wire(row: Entry) -> AuditLogEntry {
    let Entry { org_id, number, change, hash } = row;
    let json = |document: Option<Document>| document.map(|document| document.json());
    AuditLogEntry {
        at: change.at.into(),
        org_id,
        user_id: change.user_id,
        request_method: change.method,
        request_path: change.path,
        response_status: change.status,
        number,
        request_id: Some(change.request_id).filter(|id| !id.is_empty()),
        before: json(change.before),
        after: json(change.after),
        hash,
    }
}

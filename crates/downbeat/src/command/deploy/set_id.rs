//! A set by a part of its id, or by a deployment that it was in.

use std::collections::BTreeSet;

use downbeat_api::deployment::Deployment;

use crate::report::Failure;

/// How many ids an error lists.
const LISTED: usize = 5;

/// The id of the one set that is meant. `history` is that of the environment, newest first.
pub(crate) fn find<'a>(
    reference: &str,
    history: &'a [Deployment],
    sets: impl Iterator<Item = &'a str>,
) -> Result<String, Failure> {
    let wanted = reference.trim_end_matches('…');
    if wanted == "0" {
        // The empty set, which is in no list.
        return Ok(wanted.to_owned());
    }
    let sets: BTreeSet<&str> = sets.chain(history.iter().map(|one| one.set_id.as_str())).collect();
    if sets.contains(wanted) {
        return Ok(wanted.to_owned());
    }
    if let Some(one) = history.iter().find(|one| one.id == wanted) {
        return Ok(one.set_id.clone());
    }
    let by_deployment = history.iter().filter(|one| one.id.starts_with(wanted));
    let mut meant: BTreeSet<&str> = by_deployment.map(|one| one.set_id.as_str()).collect();
    meant.extend(sets.iter().filter(|id| id.starts_with(wanted)));
    match (meant.pop_first(), meant.is_empty()) {
        (Some(id), true) if !wanted.is_empty() => Ok(id.to_owned()),
        (Some(_), _) => {
            Err(Failure::usage(format!("--set {reference}: several sets begin like this"))
                .maybe_hint(newest(history)))
        }
        (None, _) => Err(Failure::not_found(format!(
            "--set {reference}: there is no such set, and no such deployment of the environment"
        ))
        .maybe_hint(newest(history))),
    }
}

/// The newest sets of the environment.
fn newest(history: &[Deployment]) -> Option<String> {
    let mut ids: Vec<&str> = Vec::new();
    for one in history {
        if ids.len() < LISTED && !ids.contains(&one.set_id.as_str()) {
            ids.push(&one.set_id);
        }
    }
    (!ids.is_empty()).then(|| format!("The newest sets: {}", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_that_is_unique_is_enough() {
        let deployment = |id: &str, set: &str| -> Deployment {
            serde_json::from_value(json!({
                "id": id, "env_id": "development", "from_id": "", "set_id": set, "comment": "",
                "status": "succeeded", "status_changed_at": "2026-01-01T00:00:00Z",
                "created_at": "2026-01-01T00:00:00Z", "created_by": "admin",
                "export_file": "", "export_status": "",
            }))
            .unwrap()
        };
        let history = [deployment("18b2", "abcd"), deployment("18a1", "abef")];
        let check = |reference: &str, expected: Option<&str>| {
            let found = find(reference, &history, ["abcd", "abef", "77"].into_iter());
            assert_eq!(found.ok().as_deref(), expected, "{reference}");
        };
        check("abcd", Some("abcd"));
        check("abe", Some("abef"));
        check("abc…", Some("abcd"));
        check("18a1", Some("abef"));
        check("18b", Some("abcd"));
        check("7", Some("77"));
        check("0", Some("0"));
        check("ab", None);
        check("18", None);
        check("x", None);
        check("", None);
    }
}

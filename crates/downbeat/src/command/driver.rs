//! `downbeat driver`

use std::{fs, path::Path, sync::Arc, time::Duration};

use downbeat_adapters::remote::{
    Options, SigningKey,
    conformance::{self, Check, Outcome, Subject},
};
use downbeat_core::{Json, JsonMap, patch, yaml};
use serde_json::json;

use crate::{
    cli::{Driver, DriverCommand, DriverTest},
    local::SystemClock,
    report::{Failure, Style, count, out, paint, say},
};

/// Type of resource that a driver is asked for when nobody says.
const TYPE: &str = "s3";

pub(crate) async fn run(arguments: Driver) -> Result<(), Failure> {
    match arguments.command {
        DriverCommand::Test(test) => self::test(&test).await,
    }
}

async fn test(arguments: &DriverTest) -> Result<(), Failure> {
    let mut inputs = match &arguments.inputs {
        Some(path) => read(path)?,
        None => JsonMap::new(),
    };
    let of_inputs = inputs.remove("type").and_then(|name| name.as_str().map(str::to_owned));
    let mut driver = match inputs.remove("driver") {
        Some(Json::Object(driver)) => driver,
        _ => JsonMap::new(),
    };
    let part = |of: &mut JsonMap, name: &str| of.remove(name).unwrap_or_else(|| json!({}));
    let subject = Subject {
        target: arguments.url.clone(),
        resource_type: arguments.resource_type.clone().or(of_inputs).unwrap_or(TYPE.to_owned()),
        resource: part(&mut inputs, "resource"),
        values: part(&mut driver, "values"),
        secrets: part(&mut driver, "secrets"),
    };
    let limit = Duration::from_secs(arguments.time_limit.max(1));
    let defaults = Options::default();
    let options = Options {
        time_limit: limit,
        request_limit: defaults.request_limit.min(limit),
        plain_http: arguments.plain_http,
        ..defaults
    };
    let key = arguments.signing_key.as_deref().map(SigningKey::open).transpose();
    let key = key.map_err(|error| Failure::new(error.to_string()))?;
    let is_json = arguments.json;
    let mut told = |check: &Check| {
        if !is_json {
            print(check);
        }
    };
    let checks = conformance::run(&subject, options, key, Arc::new(SystemClock), &mut told).await;
    let checks = checks.map_err(|reason| {
        Failure::usage(format!("{}: {reason}", arguments.url))
            .hint("Write the target as https://HOST/PATH, or http://127.0.0.1:PORT")
    })?;
    let number =
        |wanted: fn(&Outcome) -> bool| checks.iter().filter(|check| wanted(&check.outcome)).count();
    let ok = number(|outcome| *outcome == Outcome::Ok);
    let failed = number(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let skipped = number(|outcome| matches!(outcome, Outcome::Skipped(_)));
    if is_json {
        let result = json!({"ok": ok, "failed": failed, "skipped": skipped,
            "checks": checks.iter().map(to_json).collect::<Vec<_>>()});
        out(&format!("{result:#}\n"))?;
    }
    let sum =
        format!("{}: {ok} ok, {failed} failed, {skipped} skipped", count(checks.len(), "check"));
    if failed > 0 {
        return Err(Failure::new(sum).hint("The protocol is described in docs/concepts/drivers.md"));
    }
    say(sum);
    Ok(())
}

/// Reads an inputs file: an object with members that are known.
fn read(path: &Path) -> Result<JsonMap, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let wrong = |message: String| Failure::new(message).at(path.display());
    let members = yaml::parse_object(&text, &yaml::Limits::default())
        .map_err(|error| wrong(format!("line {}: {}", error.line, error.message)))?;
    let unknown = |members: &JsonMap, known: &[&str]| {
        members.keys().find(|name| !known.contains(&name.as_str())).cloned()
    };
    if let Some(name) = unknown(&members, &["type", "resource", "driver"]) {
        let hint = "The members are type, resource and driver (with values and secrets)";
        return Err(wrong(format!("{name:?} is not known here")).hint(hint));
    }
    match members.get("driver") {
        None => {}
        Some(Json::Object(driver)) => {
            if let Some(name) = unknown(driver, &["values", "secrets"]) {
                let hint = "The members of driver are values and secrets";
                return Err(wrong(format!("{name:?} is not known below driver")).hint(hint));
            }
        }
        Some(other) => {
            let kind = patch::kind(other);
            return Err(wrong(format!("driver is {kind}, and must be an object")));
        }
    }
    Ok(members)
}

fn print(check: &Check) {
    let Check { id, title, outcome } = check;
    match outcome {
        Outcome::Ok => say(format_args!("{} {id}: {title}", paint(Style::Green, "     ok"))),
        Outcome::Failed { expected, found } => say(format_args!(
            "{} {id}: {title}\n          expected  {expected}\n          found     {found}",
            paint(Style::Red, " failed")
        )),
        Outcome::Skipped(reason) => {
            say(format_args!("{} {id}: {title} ({reason})", paint(Style::Dim, "skipped")));
        }
    }
}

fn to_json(check: &Check) -> Json {
    let mut shown = json!({"id": check.id, "title": check.title});
    let more = match &check.outcome {
        Outcome::Ok => json!({"outcome": "ok"}),
        Outcome::Failed { expected, found } => {
            json!({"outcome": "failed", "expected": expected, "found": found})
        }
        Outcome::Skipped(reason) => json!({"outcome": "skipped", "reason": reason}),
    };
    if let (Json::Object(shown), Json::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}

//! Checks of a driver against the protocol: what `downbeat driver test` runs.
//!
//! The calls are those of the driver client itself, with random ids, so that nothing that exists is
//! touched; what the checks make they also delete. Findings are for the author of the driver, so
//! they quote what was found, but never a secret of the request.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use downbeat_core::{Json, Secret, id::hex, patch};
use downbeat_engine::Clock;
use reqwest::Method;
use serde_json::json;

use super::{
    Options, SigningKey,
    answer::{self, Hint, Mask, Refusal},
    call::{Answer, Call, CallError, Caller, Target},
};

/// What is asked of the driver.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Where the driver listens: what it would be registered with.
    pub target: String,
    /// Type of the resources that are asked for.
    pub resource_type: String,
    /// Inputs of the resource.
    pub resource: Json,
    /// Plain driver inputs.
    pub values: Json,
    /// Secret driver inputs, in clear.
    pub secrets: Json,
}

/// A check, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Short name; stable.
    pub id: &'static str,
    /// What the protocol asks for, as a sentence.
    pub title: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The driver does it.
    Ok,
    /// The driver does something else.
    Failed {
        /// What the protocol asks for.
        expected: String,
        /// What the driver did.
        found: String,
    },
    /// It could not be found out, for this reason.
    Skipped(String),
}

/// The checks, in their order: id and title.
pub const CHECKS: [(&str, &str); 20] = [
    ("create", "PUT makes a resource"),
    ("content-type", "the answer is declared as JSON"),
    ("shape", "the answer has id, type, resource and manifests as it should"),
    ("size", "the answer is not larger than what is read"),
    ("secrets-apart", "no secret of the request is among the plain values"),
    ("repeat", "the same PUT again gives the same outputs"),
    ("cookie-text", "a cookie is a text that fits into a header"),
    ("cookie-returned", "a cookie that comes back is understood"),
    ("cookie-newest", "the newest cookie is the one that counts"),
    ("bad-json", "a body that is not JSON is refused"),
    ("bad-shape", "a body without its members is refused"),
    ("bad-type", "a type that the driver does not make is refused"),
    ("refusal-shape", "a refusal has error (RES-1…) and message"),
    ("refusal-secrets", "a refusal shows no secret of the request"),
    ("foreign-cookie", "a cookie that the driver did not make does not break it"),
    ("signature", "a wrong signature is refused"),
    ("delete", "DELETE frees the resource"),
    ("delete-again", "DELETE of what is gone succeeds"),
    ("delete-unknown", "DELETE of what never was succeeds"),
    ("create-again", "PUT after DELETE makes the resource again"),
];

/// Runs all checks; each is told when it is done.
///
/// # Errors
/// When the target cannot be called at all, as a sentence.
pub async fn run(
    subject: &Subject,
    options: Options,
    key: Option<SigningKey>,
    clock: Arc<dyn Clock>,
    told: &mut (dyn FnMut(&Check) + Send),
) -> Result<Vec<Check>, String> {
    let resource = Target::parse(&subject.target, &random_id(), options.plain_http);
    let resource = resource.map_err(|error| error.to_string())?;
    let mut texts = Vec::new();
    leaves(&subject.secrets, &mut texts);
    let is_signed = key.is_some();
    let kit = Kit {
        subject,
        wrong: Caller::new(
            options.clone(),
            Some(SigningKey::new("not the key of this installation")),
            Arc::clone(&clock),
        ),
        caller: Caller::new(options, key, clock),
        mask: Mask::new(texts.iter()),
    };
    let mut report = Report { done: BTreeMap::new(), told };
    kit.life(&resource, is_signed, &mut report).await;
    Ok(report.finish())
}

/// What was found so far; each check is told once.
struct Report<'a> {
    done: BTreeMap<&'static str, Check>,
    told: &'a mut (dyn FnMut(&Check) + Send),
}

impl Report<'_> {
    fn add(&mut self, id: &'static str, outcome: Outcome) {
        let title = CHECKS.iter().find(|(known, _)| *known == id).map_or("", |(_, title)| title);
        let check = Check { id, title, outcome };
        (self.told)(&check);
        self.done.insert(id, check);
    }

    fn failed(&mut self, id: &'static str, expected: &str, found: impl Into<String>) {
        let outcome = Outcome::Failed { expected: expected.to_owned(), found: found.into() };
        self.add(id, outcome);
    }

    fn check(&mut self, id: &'static str, good: bool, expected: &str, found: impl Into<String>) {
        if good {
            self.add(id, Outcome::Ok);
        } else {
            self.failed(id, expected, found);
        }
    }

    fn skipped(&mut self, id: &'static str, reason: &str) {
        self.add(id, Outcome::Skipped(reason.to_owned()));
    }

    /// Skips what was not reached.
    fn rest(&mut self, reason: &str) {
        for (id, _) in CHECKS {
            if !self.done.contains_key(id) {
                self.skipped(id, reason);
            }
        }
    }

    fn finish(mut self) -> Vec<Check> {
        CHECKS.iter().filter_map(|(id, _)| self.done.remove(id)).collect()
    }
}

struct Kit<'a> {
    subject: &'a Subject,
    caller: Caller,
    /// Signs with a key that nobody knows.
    wrong: Caller,
    mask: Mask,
}

/// A final answer, and the cookie that the resource has then.
struct Made {
    answer: Answer,
    cookie: Option<Secret>,
}

impl Kit<'_> {
    /// One resource from its first request to its end, and what can go wrong beside it.
    async fn life(&self, target: &Target, is_signed: bool, report: &mut Report<'_>) {
        let made = match self.until(Method::PUT, target, None, None).await {
            Ok(made) => made,
            Err(found) => {
                report.failed("create", "status 200, or 202 until it is 200", &*found.text);
                if found.too_large {
                    let most = self.caller.options().answer_bytes;
                    report.failed("size", &format!("at most {most} bytes"), found.text);
                }
                return report.rest("the driver made no resource");
            }
        };
        report.check("create", made.answer.status == 200, "status 200", self.said(&made.answer));
        if made.answer.status != 200 {
            return report.rest("the driver made no resource");
        }
        let outputs = self.shape(&made.answer, target, report);
        let cookie = self.repeats(target, &made, outputs.as_ref(), report).await;
        self.refusals(report).await;
        self.foreign_cookie(report).await;
        self.signature(is_signed, report).await;
        self.end(target, cookie, report).await;
    }

    /// What a single answer has to be like; answers the outputs.
    fn shape(&self, answer: &Answer, target: &Target, report: &mut Report<'_>) -> Option<Json> {
        let content_type = answer.content_type.as_str();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json");
        let found = format!("Content-Type: {:?}", self.mask.of(content_type));
        report.check("content-type", is_json, "Content-Type: application/json", found);
        let read = answer::read(&answer.body, target.guresid(), &self.subject.resource_type);
        let problems = read.err().unwrap_or_default();
        let form = "{id, type, resource: {values, secrets}, manifests: [{location, data}]}";
        report.check("shape", problems.is_empty(), form, problems.join("; "));
        report.add("size", Outcome::Ok);
        let outputs = outputs(&answer.body);
        let values = outputs.as_ref().and_then(|outputs| outputs.get("values"));
        match values {
            _ if self.mask.is_empty() => report
                .skipped("secrets-apart", "the inputs have no secret of six characters or more"),
            None => report.skipped("secrets-apart", "the answer has no values"),
            Some(values) => {
                let at = places(values, &self.mask);
                let found = format!("a secret at {}", at.join(", "));
                let expected = "secrets below resource.secrets only";
                report.check("secrets-apart", at.is_empty(), expected, found);
            }
        }
        outputs
    }

    /// The same request again, with what the driver left; answers its newest cookie.
    async fn repeats(
        &self,
        target: &Target,
        made: &Made,
        first: Option<&Json>,
        report: &mut Report<'_>,
    ) -> Option<Secret> {
        let again = self.until(Method::PUT, target, made.cookie.as_ref(), None).await;
        let same = "status 200 and the same outputs";
        self.compare("repeat", same, &again, first, report);
        let Some(cookie) = &made.cookie else {
            for id in ["cookie-text", "cookie-returned", "cookie-newest"] {
                report.skipped(id, "the driver sets no cookie");
            }
            return again.ok().and_then(|again| again.cookie);
        };
        let text = cookie.expose();
        let fits = text.len() <= COOKIE_BYTES && text.bytes().all(|byte| (32..127).contains(&byte));
        let expected = format!("visible ASCII, at most {COOKIE_BYTES} bytes");
        let kind = if text.is_ascii() { "" } else { ", not ASCII" };
        let found = format!("{} bytes{kind}", text.len());
        report.check("cookie-text", fits, &expected, found);
        self.compare("cookie-returned", same, &again, first, report);
        let Ok(again) = again else {
            report.skipped("cookie-newest", "the cookie was not understood");
            return made.cookie.clone();
        };
        match again.cookie {
            Some(newest) if newest != *cookie => {
                let third = self.until(Method::PUT, target, Some(&newest), None).await;
                self.compare("cookie-newest", same, &third, first, report);
                third.ok().map_or(Some(newest), |third| third.cookie)
            }
            Some(newest) => {
                report.skipped("cookie-newest", "the driver does not change its cookie");
                Some(newest)
            }
            None => {
                report.skipped("cookie-newest", "the driver deleted its cookie");
                None
            }
        }
    }

    fn compare(
        &self,
        id: &'static str,
        expected: &str,
        again: &Result<Made, Broken>,
        first: Option<&Json>,
        report: &mut Report<'_>,
    ) {
        match again {
            Err(broken) => report.failed(id, expected, &*broken.text),
            Ok(again) if again.answer.status != 200 => {
                report.failed(id, expected, self.said(&again.answer));
            }
            Ok(again) => {
                let outputs = outputs(&again.answer.body);
                match (first, &outputs) {
                    (Some(first), Some(second)) => {
                        let other: Vec<String> =
                            patch::diff(first, second).iter().map(|one| one.path.clone()).collect();
                        let found = format!("other outputs at {}", other.join(", "));
                        report.check(id, other.is_empty(), expected, found);
                    }
                    _ => report.failed(id, expected, "no outputs"),
                }
            }
        }
    }

    /// Requests that no driver should accept.
    async fn refusals(&self, report: &mut Report<'_>) {
        let mut shapes = Vec::new();
        for (id, body) in [("bad-json", "{\"type\": "), ("bad-shape", "{}")] {
            let Ok(target) = self.another() else { continue };
            let answer = self.once(Method::PUT, &target, Some(body.as_bytes()), None).await;
            match answer {
                Ok(answer) => {
                    let refuses = (400..500).contains(&answer.status);
                    report.check(id, refuses, "status 400 (or another 4xx)", self.said(&answer));
                    if refuses {
                        shapes.push(answer);
                    } else {
                        self.clean(&target).await;
                    }
                }
                Err(broken) => report.failed(id, "status 400", broken.text),
            }
        }
        // A text that no driver can know, to see whether it turns up again.
        let canary = Secret::new(format!("canary-{}", random_id()));
        let mut secrets = self.subject.secrets.clone();
        if let Some(members) = secrets.as_object_mut() {
            members.insert("downbeat_test".to_owned(), json!(canary.expose()));
        }
        let body =
            super::body("downbeat-no-such-type", &self.subject.resource, &json!({}), &secrets);
        if let Ok(target) = self.another() {
            match self.once(Method::PUT, &target, Some(&body), None).await {
                Ok(answer) if matches!(answer.status, 200 | 202) => {
                    report.skipped("bad-type", "the driver makes resources of any type");
                    self.clean(&target).await;
                }
                Ok(answer) => {
                    let refuses = (400..500).contains(&answer.status);
                    report.check("bad-type", refuses, "status 400", self.said(&answer));
                    if refuses {
                        shapes.push(answer);
                    }
                }
                Err(broken) => report.failed("bad-type", "status 400", broken.text),
            }
        }
        let expected = "{\"error\": \"RES-1xx\", \"message\": \"what went wrong\"}";
        let bad = shapes.iter().find_map(|answer| self.bad_refusal(answer));
        if shapes.is_empty() {
            for id in ["refusal-shape", "refusal-secrets"] {
                report.skipped(id, "the driver refused nothing");
            }
            return;
        }
        report.check("refusal-shape", bad.is_none(), expected, bad.unwrap_or_default());
        let shown = shapes.iter().any(|answer| {
            let text = String::from_utf8_lossy(&answer.body);
            self.mask.finds(&text) || text.contains(canary.expose())
        });
        let expected = "a message without secrets";
        report.check("refusal-secrets", !shown, expected, "a secret of the request in the body");
    }

    /// What is wrong with the body of a refusal.
    fn bad_refusal(&self, answer: &Answer) -> Option<String> {
        let refusal = Refusal::read(&answer.body);
        let code = refusal.code.unwrap_or_default();
        let code_fits = code
            .strip_prefix("RES-1")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        if code_fits && refusal.message.is_some() {
            return None;
        }
        let what = match (code.is_empty(), refusal.message) {
            (true, None) => "neither error nor message".to_owned(),
            (true, Some(_)) => "no error".to_owned(),
            (false, None) => format!("error {:?} without a message", self.mask.of(&code)),
            (false, Some(_)) => format!("error {:?}", self.mask.of(&code)),
        };
        Some(format!("{what} (status {})", answer.status))
    }

    async fn foreign_cookie(&self, report: &mut Report<'_>) {
        let Ok(target) = self.another() else { return };
        let cookie = Secret::new("bm90IHlvdXJzOiA=!".to_owned());
        let body = self.body();
        let answer = self.once(Method::PUT, &target, Some(&body), Some(&cookie)).await;
        match answer {
            Ok(answer) => {
                let good = matches!(answer.status, 200 | 202 | 400..500);
                let expected = "status 200, 202 or 400";
                report.check("foreign-cookie", good, expected, self.said(&answer));
                if answer.status < 300 {
                    self.clean(&target).await;
                }
            }
            Err(broken) => report.failed("foreign-cookie", "an answer", broken.text),
        }
    }

    async fn signature(&self, is_signed: bool, report: &mut Report<'_>) {
        if !is_signed {
            return report.skipped("signature", "no signing key was given");
        }
        let Ok(target) = self.another() else { return };
        let body = self.body();
        let call = self.call(Method::PUT, &target, Some(&body), None, self.limit());
        match self.wrong.call(call).await {
            Ok(answer) if matches!(answer.status, 200 | 202) => {
                report.skipped("signature", "the driver does not verify signatures");
                self.clean(&target).await;
            }
            Ok(answer) => {
                let refuses = (400..500).contains(&answer.status);
                report.check(
                    "signature",
                    refuses,
                    "status 401 (or another 4xx)",
                    self.said(&answer),
                );
            }
            Err(error) => report.failed("signature", "status 401", format!("it {error}")),
        }
    }

    /// Freed, freed again, and made again.
    async fn end(&self, target: &Target, cookie: Option<Secret>, report: &mut Report<'_>) {
        let gone = "status 204, or 202 until it is 204";
        let freed = self.until(Method::DELETE, target, cookie.as_ref(), None).await;
        match &freed {
            Ok(made) => {
                let good = made.answer.status == 204;
                report.check("delete", good, gone, self.said(&made.answer));
            }
            Err(broken) => report.failed("delete", gone, &*broken.text),
        }
        let either = "status 204 or 404";
        for (id, target) in
            [("delete-again", Ok(target.clone())), ("delete-unknown", self.another())]
        {
            let Ok(target) = target else { continue };
            match self.until(Method::DELETE, &target, None, None).await {
                Ok(made) => {
                    let good = matches!(made.answer.status, 204 | 404);
                    report.check(id, good, either, self.said(&made.answer));
                }
                Err(broken) => report.failed(id, either, broken.text),
            }
        }
        match self.until(Method::PUT, target, None, None).await {
            Ok(made) => {
                let good = made.answer.status == 200;
                report.check("create-again", good, "status 200", self.said(&made.answer));
                let _ = self.until(Method::DELETE, target, made.cookie.as_ref(), None).await;
            }
            Err(broken) => report.failed("create-again", "status 200", broken.text),
        }
    }

    /// Repeats a request until its answer is final, or the time is over.
    async fn until(
        &self,
        method: Method,
        target: &Target,
        cookie: Option<&Secret>,
        body: Option<&[u8]>,
    ) -> Result<Made, Broken> {
        let whole = self.body();
        let body = (method == Method::PUT).then(|| body.unwrap_or(&whole));
        let options = self.caller.options();
        let end = Instant::now() + options.time_limit;
        let mut cookie = cookie.cloned();
        let mut delay = options.first_delay;
        loop {
            let answer = self.once(method.clone(), target, body, cookie.as_ref()).await?;
            match &answer.cookie {
                Some(new) if new.expose().is_empty() => cookie = None,
                Some(new) => cookie = Some(new.clone()),
                None => {}
            }
            if !matches!(answer.status, 202 | 409) {
                return Ok(Made { answer, cookie });
            }
            let hint = Hint::read(&answer.body).until_done(self.caller.now());
            let pause = hint.unwrap_or(delay).clamp(options.first_delay, options.longest_delay);
            if Instant::now() + pause > end {
                let seconds = options.time_limit.as_secs();
                let status = answer.status;
                let text = format!("still status {status} after {seconds} s");
                return Err(Broken { text, too_large: false });
            }
            tokio::time::sleep(pause).await;
            delay = (delay * 2).min(options.usual_delay);
        }
    }

    async fn once(
        &self,
        method: Method,
        target: &Target,
        body: Option<&[u8]>,
        cookie: Option<&Secret>,
    ) -> Result<Answer, Broken> {
        let answer = self.caller.call(self.call(method, target, body, cookie, self.limit())).await;
        answer.map_err(|error| Broken {
            text: format!("the driver {error}"),
            too_large: matches!(error, CallError::TooLarge(_)),
        })
    }

    fn call<'c>(
        &self,
        method: Method,
        target: &'c Target,
        body: Option<&'c [u8]>,
        cookie: Option<&'c Secret>,
        limit: Duration,
    ) -> Call<'c> {
        let idempotency_key = body.is_some().then(|| target.guresid());
        Call { method, target, body, cookie, idempotency_key, limit }
    }

    fn limit(&self) -> Duration {
        self.caller.options().request_limit
    }

    fn body(&self) -> Vec<u8> {
        let Subject { resource_type, resource, values, secrets, .. } = self.subject;
        super::body(resource_type, resource, values, secrets)
    }

    /// A resource that does not exist yet.
    fn another(&self) -> Result<Target, super::call::TargetError> {
        Target::parse(&self.subject.target, &random_id(), self.caller.options().plain_http)
    }

    /// Frees what should not have been made.
    async fn clean(&self, target: &Target) {
        let _ = self.until(Method::DELETE, target, None, None).await;
    }

    /// An answer in a few words.
    fn said(&self, answer: &Answer) -> String {
        let refusal = Refusal::read(&answer.body);
        let words: Vec<String> = [refusal.code, refusal.message]
            .iter()
            .flatten()
            .map(|text| self.mask.of(text))
            .collect();
        if words.is_empty() {
            return format!("status {}", answer.status);
        }
        format!("status {} ({})", answer.status, words.join(": "))
    }
}

/// Longest cookie that servers accept as a header with some certainty.
const COOKIE_BYTES: usize = 4_096;

/// Why there is no answer to look at.
struct Broken {
    text: String,
    too_large: bool,
}

/// An id in the form of those that the orchestrator gives.
fn random_id() -> String {
    let mut bytes = [0; 20];
    // Without random bytes the id is one that nobody has either.
    let _ = rand::fill(&mut bytes);
    hex(&bytes)
}

fn outputs(body: &[u8]) -> Option<Json> {
    let mut body: Json = serde_json::from_slice(body).ok()?;
    let resource = body.get_mut("resource").map(Json::take)?;
    let manifests = body.get_mut("manifests").map(Json::take).unwrap_or_default();
    let mut outputs = resource.is_object().then_some(resource)?;
    outputs.as_object_mut()?.insert("manifests".to_owned(), manifests);
    Some(outputs)
}

/// The texts of a tree.
fn leaves(tree: &Json, texts: &mut Vec<Secret>) {
    match tree {
        Json::Object(members) => members.values().for_each(|member| leaves(member, texts)),
        Json::Array(items) => items.iter().for_each(|item| leaves(item, texts)),
        Json::String(text) => texts.push(Secret::new(text.clone())),
        _ => {}
    }
}

/// Where a tree holds a text of the mask: JSON pointers.
fn places(tree: &Json, mask: &Mask) -> Vec<String> {
    fn walk(tree: &Json, mask: &Mask, at: &mut String, found: &mut Vec<String>) {
        let length = at.len();
        match tree {
            Json::Object(members) => {
                for (name, member) in members {
                    patch::push_token(at, name);
                    walk(member, mask, at, found);
                    at.truncate(length);
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    patch::push_token(at, &index.to_string());
                    walk(item, mask, at, found);
                    at.truncate(length);
                }
            }
            Json::String(text) if mask.finds(text) => found.push(at.clone()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(tree, mask, &mut "/resource/values".to_owned(), &mut found);
    found
}

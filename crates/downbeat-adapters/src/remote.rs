//! Drivers that an organization registered: HTTP servers of its own (spec 06 section 8).
//!
//! ```text
//! PUT {target}/{guresid}     200 done   202 later   409 later   4xx never    5xx again
//! DELETE {target}/{guresid}  204 gone   202 later   409 later   404 gone     5xx again
//! ```
//!
//! *Later* is the same request after a pause, until the driver is done or the time is over. A
//! cookie that comes with such an answer is kept before the next request is sent. Nothing that a
//! driver says is trusted: answers are limited in size, and read for their shape. What goes into a
//! message is what is wrong with an answer, never the answer; texts of the driver that are meant
//! for people are masked first.

mod answer;
mod call;
pub mod conformance;
mod signing;

use std::{sync::Arc, time::Duration};

use downbeat_core::{Code, Json, Secret};
use downbeat_engine::{
    BoxFuture, Clock, CookieChange, DriverError, ExternalDriver, Memory, Removal, Request, Response,
};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

pub use self::signing::{SigningKey, SigningKeyError};
use self::{
    answer::{Hint, Mask, Refusal},
    call::{Answer, Call, CallError, Caller, Target},
};
use crate::template;

/// How drivers are called.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest time for a connection.
    pub connect_limit: Duration,
    /// Longest time for one request and its answer.
    pub request_limit: Duration,
    /// How long to go on asking about one resource.
    pub time_limit: Duration,
    /// Pause after the first answer that the work goes on; it grows with each.
    pub first_delay: Duration,
    /// Pause that it grows to, unless the driver says when it will be done.
    pub usual_delay: Duration,
    /// Longest pause, whatever the driver says.
    pub longest_delay: Duration,
    /// How often one request is sent that gets no usable answer.
    pub attempts: u32,
    /// Pause before such a request is sent again; it doubles.
    pub retry_delay: Duration,
    /// Most bytes of an answer.
    pub answer_bytes: usize,
    /// Whether drivers on other machines may be called without TLS.
    pub plain_http: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(10),
            request_limit: Duration::from_secs(60),
            time_limit: Duration::from_secs(60 * 60),
            first_delay: Duration::from_millis(500),
            usual_delay: Duration::from_secs(3),
            longest_delay: Duration::from_secs(30),
            attempts: 5,
            retry_delay: Duration::from_secs(1),
            answer_bytes: 8 * 1024 * 1024,
            plain_http: false,
        }
    }
}

/// What speaks to registered drivers.
pub struct Remote {
    caller: Caller,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remote")
    }
}

impl Remote {
    /// With a key, every request is signed.
    #[must_use]
    pub fn new(options: Options, key: Option<SigningKey>, clock: Arc<dyn Clock>) -> Self {
        Self { caller: Caller::new(options, key, clock) }
    }

    fn options(&self) -> &Options {
        self.caller.options()
    }

    /// Sends one request until its answer is final.
    async fn converse(
        &self,
        order: &Order<'_>,
        memory: &dyn Memory,
    ) -> Result<(Answer, Jar), DriverError> {
        let target = Target::parse(order.target, order.guresid, self.options().plain_http)
            .map_err(|error| target_failed(order, &error))?;
        let started = Instant::now();
        let mut limits = Limits { ours: started + self.options().time_limit, theirs: None };
        let mut jar = Jar { cookie: order.cookie.cloned(), change: CookieChange::Keep };
        let mut polls = 0;
        let mut failures = 0;
        loop {
            let call = Call {
                method: order.method.clone(),
                target: &target,
                body: order.body.as_deref(),
                cookie: jar.cookie.as_ref(),
                idempotency_key: order.idempotency_key,
                // Whole also for the last one: it is sent when the time is over.
                limit: self.options().request_limit,
            };
            let answer = match self.caller.call(call).await {
                Ok(answer) if !answer.is_passing_failure() => answer,
                other => {
                    failures += 1;
                    let failure = match other {
                        Err(error) if error.is_final() => return Err(call_failed(&target, &error)),
                        Err(error) => error,
                        Ok(answer) => CallError::Status(answer.status),
                    };
                    let delay = doubled(self.options().retry_delay, failures)
                        .min(self.options().longest_delay);
                    let in_time = Instant::now() + delay < limits.end();
                    if failures >= self.options().attempts || !in_time {
                        return Err(unanswered(&target, &failure, failures));
                    }
                    tokio::time::sleep(delay).await;
                    continue;
                }
            };
            failures = 0;
            match answer.status {
                202 | 409 => {
                    jar.take(&answer, memory).await?;
                    let hint = Hint::read(&answer.body);
                    let now = self.caller.now();
                    limits.theirs = hint.time_left(now).map(|left| Instant::now() + left);
                    if Instant::now() >= limits.end() {
                        return Err(too_late(&target, &answer, &limits, started));
                    }
                    let delay = self.delay(&hint, now, polls);
                    polls += 1;
                    tokio::time::sleep_until((Instant::now() + delay).min(limits.end())).await;
                }
                status if order.done.contains(&status) => return Ok((answer, jar)),
                400..500 => return Err(refused(&answer, &order.mask(&jar))),
                status => {
                    jar.take(&answer, memory).await?;
                    let message = format!(
                        "the driver at {target} answered {} with status {status}, which the \
                         protocol does not have",
                        order.method
                    );
                    let error = DriverError::new(Code::DriverAnswer, message);
                    return Err(match status {
                        300..400 => error.hint(
                            "Redirects are not followed: register the address that they lead to",
                        ),
                        _ => error.hint(ASK),
                    });
                }
            }
        }
    }

    /// How long to wait before the same request is sent again.
    fn delay(&self, hint: &Hint, now: Timestamp, polls: u32) -> Duration {
        let options = self.options();
        let usual = doubled(options.first_delay, polls + 1).min(options.usual_delay);
        let delay = hint.until_done(now).map_or(usual, |said| said.max(options.first_delay));
        delay.min(options.longest_delay)
    }
}

/// What to do about a driver that breaks the protocol.
const ASK: &str = "`downbeat driver test URL` checks a driver against the protocol";

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(times.saturating_sub(1)))
}

/// What is asked of a driver.
struct Order<'a> {
    method: Method,
    target: &'a str,
    guresid: &'a str,
    body: Option<Vec<u8>>,
    cookie: Option<&'a Secret>,
    idempotency_key: Option<&'a str>,
    /// Statuses that end it well.
    done: &'static [u16],
    secrets: Vec<&'a Secret>,
}

impl Order<'_> {
    /// Everything that must not stand in a message.
    fn mask(&self, jar: &Jar) -> Mask {
        let secrets = self.secrets.iter().copied();
        Mask::new(secrets.chain(self.cookie).chain(jar.cookie.as_ref()))
    }
}

/// When a driver has to be done.
struct Limits {
    ours: Instant,
    theirs: Option<Instant>,
}

impl Limits {
    fn end(&self) -> Instant {
        self.theirs.map_or(self.ours, |theirs| theirs.min(self.ours))
    }
}

/// The cookie of a resource in the course of a conversation.
struct Jar {
    /// What the next request carries.
    cookie: Option<Secret>,
    /// What the engine is told in the end.
    change: CookieChange,
}

impl Jar {
    /// Keeps the cookie of an answer before anything else happens.
    async fn take(&mut self, answer: &Answer, memory: &dyn Memory) -> Result<(), DriverError> {
        let Some(cookie) = &answer.cookie else { return Ok(()) };
        if cookie.expose().is_empty() {
            // What was stored stays until the end: it is harmless, and a driver that is asked again
            // after a crash sees more rather than less.
            self.cookie = None;
            self.change = CookieChange::Clear;
        } else {
            memory.keep(cookie.clone()).await?;
            self.cookie = Some(cookie.clone());
            self.change = CookieChange::Keep;
        }
        Ok(())
    }

    /// The change after a final answer.
    fn end(self, answer: &Answer) -> CookieChange {
        match &answer.cookie {
            None => self.change,
            Some(cookie) if cookie.expose().is_empty() => CookieChange::Clear,
            Some(cookie) => CookieChange::Set(cookie.clone()),
        }
    }
}

impl ExternalDriver for Remote {
    fn provision<'a>(
        &'a self,
        request: &'a Request<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<Response, DriverError>> {
        Box::pin(async move {
            let body = body(
                &request.key.resource_type,
                request.resource,
                request.values,
                &template::with_texts(request),
            );
            let order = Order {
                method: Method::PUT,
                target: request.target,
                guresid: request.guresid,
                body: Some(body),
                cookie: request.cookie,
                idempotency_key: Some(request.idempotency_key),
                done: &[200],
                secrets: request.secret_texts.values().collect(),
            };
            let (answer, mut jar) = self.converse(&order, memory).await?;
            match answer::read(&answer.body, request.guresid, &request.key.resource_type) {
                Ok(made) => Ok(Response {
                    values: made.values,
                    secrets: made.secrets,
                    manifests: made.manifests,
                    cookie: jar.end(&answer),
                }),
                Err(problems) => {
                    // Something was made: what leads to it must not be lost.
                    jar.take(&answer, memory).await?;
                    let message = format!(
                        "the driver's answer is not that of the protocol: {}",
                        problems.join("; ")
                    );
                    Err(DriverError::new(Code::DriverAnswer, message).hint(ASK))
                }
            }
        })
    }

    fn deprovision<'a>(
        &'a self,
        removal: &'a Removal<'a>,
        memory: &'a dyn Memory,
    ) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(async move {
            let order = Order {
                method: Method::DELETE,
                target: removal.target,
                guresid: removal.guresid,
                body: None,
                cookie: removal.cookie,
                idempotency_key: None,
                // Strictly 204, but 200 cannot mean anything else.
                done: &[204, 200, 404],
                secrets: Vec::new(),
            };
            self.converse(&order, memory).await.map(|_| ())
        })
    }
}

/// The body of a request.
fn body(resource_type: &str, resource: &Json, values: &Json, secrets: &Json) -> Vec<u8> {
    let object = |value: &Json| if value.is_null() { json!({}) } else { value.clone() };
    let body = json!({
        "type": resource_type,
        "resource": object(resource),
        "driver": {"values": object(values), "secrets": object(secrets)},
    });
    // JSON values: this cannot fail.
    serde_json::to_vec(&body).unwrap_or_default()
}

fn target_failed(order: &Order<'_>, error: &call::TargetError) -> DriverError {
    let error = DriverError::new(
        Code::DriverTarget,
        format!("the target of the driver cannot be called: {error}"),
    );
    if order.target.is_empty() {
        return error;
    }
    error.hint("Register the driver with the https address that it listens on")
}

fn call_failed(target: &Target, error: &CallError) -> DriverError {
    let code = match error {
        CallError::TooLarge(_) | CallError::Cookie => Code::DriverAnswer,
        _ => Code::DriverUnreachable,
    };
    DriverError::new(code, format!("the driver at {target} {error}"))
}

fn unanswered(target: &Target, last: &CallError, attempts: u32) -> DriverError {
    let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
    let message = format!("the driver at {target} was asked {times}; it {last}");
    DriverError::new(Code::DriverUnreachable, message)
        .hint("Make sure that the driver runs and can be reached from here, then deploy again")
}

fn too_late(target: &Target, last: &Answer, limits: &Limits, started: Instant) -> DriverError {
    let is_theirs = limits.theirs.is_some_and(|theirs| theirs <= limits.ours);
    let whose = if is_theirs { "by its own deadline" } else { "in time" };
    let what = if last.status == 409 {
        "another operation on the resource is still running"
    } else {
        "it still works on the resource"
    };
    let message = format!(
        "the driver at {target} was not done {whose}: after {} s {what}",
        started.elapsed().as_secs()
    );
    DriverError::new(Code::DriverTimeout, message)
        .hint("Deploy again to go on waiting: the driver is asked with the cookie that it left")
}

fn refused(answer: &Answer, mask: &Mask) -> DriverError {
    let refusal = Refusal::read(&answer.body);
    let code =
        refusal.code.map_or_else(|| format!("status {}", answer.status), |code| mask.of(&code));
    let message = match refusal.message {
        Some(message) => format!("the driver refused ({code}): {}", mask.of(&message)),
        None => format!("the driver refused ({code}) and did not say why"),
    };
    DriverError::new(Code::Driver, message)
}

//! One request to a driver: where it goes, what it carries, and how much of an answer is read.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use downbeat_core::Secret;
use downbeat_engine::Clock;
use jiff::Timestamp;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

use super::{Options, SigningKey, signing};

/// What a driver gets of what it left.
const COOKIE: &str = "humanitec-driver-cookie";
/// What a driver leaves.
const SET_COOKIE: &str = "set-humanitec-driver-cookie";
/// Names an effect: two requests with the same key are the same request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Where a resource of a driver is.
#[derive(Clone)]
pub(super) struct Target {
    url: Url,
    guresid: String,
}

/// Why a target cannot be called. It does not quote the target: there may be credentials in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    /// It is no URL.
    #[error("it is not a URL")]
    NotAUrl,
    /// It is a URL of something else.
    #[error("it begins neither with https:// nor with http://")]
    Scheme,
    /// The connection would not be encrypted.
    #[error("http:// is for drivers on the same machine only, others need https://")]
    Plain,
}

impl Target {
    /// The URL of a resource below the prefix that a driver was registered with.
    pub(super) fn parse(prefix: &str, guresid: &str, plain: bool) -> Result<Self, TargetError> {
        let mut url = Url::parse(prefix.trim()).map_err(|_| TargetError::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if plain || is_this_machine(&url) => {}
            "http" => return Err(TargetError::Plain),
            _ => return Err(TargetError::Scheme),
        }
        url.set_fragment(None);
        let mut segments = url.path_segments_mut().map_err(|()| TargetError::NotAUrl)?;
        segments.pop_if_empty().push(guresid);
        drop(segments);
        Ok(Self { url, guresid: guresid.to_owned() })
    }

    /// The resource.
    pub(super) fn guresid(&self) -> &str {
        &self.guresid
    }

    /// The path that is signed, with the query.
    fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

/// Without user, password and query, which may be secret.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        shown.set_query(None);
        // Only URLs without a host refuse this, and they are none of ours.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        f.write_str(shown.as_str())
    }
}

fn is_this_machine(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is sent.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) target: &'a Target,
    pub(super) body: Option<&'a [u8]>,
    pub(super) cookie: Option<&'a Secret>,
    pub(super) idempotency_key: Option<&'a str>,
    /// Longest time for it.
    pub(super) limit: Duration,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    /// The cookie that was set; empty when it is to be forgotten.
    pub(super) cookie: Option<Secret>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Whether the same request may get another answer in a moment.
    pub(super) fn is_passing_failure(&self) -> bool {
        matches!(self.status, 429 | 500..600)
    }
}

/// Why there is no answer; reads on from “the driver”.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// No request can be sent from here.
    #[error("cannot be called from here: {0}")]
    Setup(String),
    /// No connection, or it broke before the answer was complete.
    #[error("did not answer: {0}")]
    Broken(String),
    /// It took too long.
    #[error("did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// It answered with a status that says so.
    #[error("answered with status {0}")]
    Status(u16),
    /// Its answer has no end in sight.
    #[error("answered with more than {0} bytes")]
    TooLarge(usize),
    /// Its cookie cannot be sent back.
    #[error("set a cookie that is not a text")]
    Cookie,
}

impl CallError {
    /// Whether the same request would fail again.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Setup(_) | Self::TooLarge(_) | Self::Cookie)
    }
}

/// Sends requests.
pub(super) struct Caller {
    options: Options,
    key: Option<SigningKey>,
    clock: Arc<dyn Clock>,
    /// Made when it is needed: most installations call no driver.
    http: OnceLock<Result<reqwest::Client, String>>,
    /// For drivers on this machine, past any proxy: it would see what is not encrypted.
    direct: OnceLock<Result<reqwest::Client, String>>,
}

impl Caller {
    pub(super) fn new(options: Options, key: Option<SigningKey>, clock: Arc<dyn Clock>) -> Self {
        Self { options, key, clock, http: OnceLock::new(), direct: OnceLock::new() }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends one request and reads its answer.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, CallError> {
        let http = if is_this_machine(&call.target.url) {
            self.direct.get_or_init(|| client(&self.options, |builder| builder.no_proxy()))
        } else {
            self.http.get_or_init(|| client(&self.options, |builder| builder))
        };
        let http = http.as_ref().map_err(|reason| CallError::Setup(reason.clone()))?;
        let headers = self.headers(&call)?;
        let mut request = http.request(call.method, call.target.url.clone()).headers(headers);
        if let Some(body) = call.body {
            request = request.body(body.to_vec());
        }
        let limit = call.limit;
        let exchange = read(request, self.options.answer_bytes);
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Slow(limit)),
        }
    }

    fn headers(&self, call: &Call<'_>) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: &str| {
            let value = HeaderValue::from_bytes(value.as_bytes());
            let mut value = value.map_err(|_| CallError::Setup(format!("bad header {name}")))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
            Ok::<_, CallError>(())
        };
        if call.body.is_some() {
            add("content-type", "application/json")?;
        }
        add("accept", "application/json")?;
        if let Some(cookie) = call.cookie {
            add(COOKIE, cookie.expose())?;
        }
        if let Some(key) = call.idempotency_key {
            add(IDEMPOTENCY_KEY, key)?;
        }
        if let Some(key) = &self.key {
            let seconds = self.clock.now().as_second();
            let body = call.body.unwrap_or_default();
            let path = call.target.path();
            add(signing::HEADER, &key.sign(seconds, call.method.as_str(), &path, body))?;
        }
        Ok(headers)
    }
}

fn client(
    options: &Options,
    more: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, String> {
    more(reqwest::Client::builder())
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(options.connect_limit)
        .user_agent(concat!("downbeat/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| reason(&error))
}

async fn read(request: reqwest::RequestBuilder, most: usize) -> Result<Answer, CallError> {
    let broken = |error: reqwest::Error| CallError::Broken(reason(&error));
    let mut response = request.send().await.map_err(broken)?;
    let header = |name: &str| response.headers().get(name);
    let cookie = header(SET_COOKIE).map(|value| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Secret::new(text.to_owned())),
        Err(_) => Err(CallError::Cookie),
    });
    let cookie = cookie.transpose()?;
    let content_type = header(CONTENT_TYPE.as_str()).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let status = response.status().as_u16();
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(CallError::TooLarge(most));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(CallError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, cookie, body })
}

/// The innermost reason; those around it repeat the URL, which may hold credentials.
fn reason(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let Some(mut innermost) = error.source() else { return "the request failed".to_owned() };
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let url = |prefix: &str| {
            Target::parse(prefix, "a1", false).map(|target| (target.path(), target.to_string()))
        };
        let ok = |path: &str, shown: &str| Ok((path.to_owned(), shown.to_owned()));
        assert_eq!(url("https://d.example"), ok("/a1", "https://d.example/a1"));
        assert_eq!(url("https://d.example/s3/"), ok("/s3/a1", "https://d.example/s3/a1"));
        assert_eq!(
            url("https://me:pw@d.example/s3?code=1#x"),
            ok("/s3/a1?code=1", "https://d.example/s3/a1")
        );
        assert_eq!(url("http://127.0.0.1:81/x"), ok("/x/a1", "http://127.0.0.1:81/x/a1"));
        assert_eq!(url("http://[::1]:81"), ok("/a1", "http://[::1]:81/a1"));
        assert_eq!(url("http://localhost"), ok("/a1", "http://localhost/a1"));
        assert_eq!(url("http://d.example"), Err(TargetError::Plain));
        assert_eq!(url("http://localhost.example"), Err(TargetError::Plain));
        assert_eq!(url("ftp://d.example"), Err(TargetError::Scheme));
        assert_eq!(url("mailto:a@b"), Err(TargetError::Scheme));
        assert_eq!(url("nonsense"), Err(TargetError::NotAUrl));
        assert!(Target::parse("http://d.example", "a1", true).is_ok());
    }
}

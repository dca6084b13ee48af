//! `urlParse` and `urlJoin`, as Go's `net/url` splits and joins.

use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::quote;
use crate::value::{Data, Entries, Map, MapKind, Value};

use Type::Str;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("urlParse", &[Str], |_, args| {
        let url = Url::parse(&args.str(0))
            .map_err(|message| format!("unable to parse url: {message}"))?;
        Ok(url.into_map())
    }),
    function("urlJoin", &[Type::Map], url_join),
];

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<User>,
    host: String,
    path: String,
    /// The path as it was written, when that is not the usual escaping of `path`.
    raw_path: String,
    query: String,
    force_query: bool,
    fragment: String,
    raw_fragment: String,
}

struct User {
    name: String,
    password: Option<String>,
}

/// Which part of a URL is being escaped: each allows different characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

type Parsed<T> = Result<T, String>;

impl Url {
    fn parse(text: &str) -> Parsed<Self> {
        let (before, fragment) = match text.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (text, None),
        };
        let shown = |url: &str, message: String| {
            format!("parse {}: {message}", quote::quote(url.as_bytes()))
        };
        let mut url = Self::parse_without_fragment(before).map_err(|e| shown(before, e))?;
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            url.fragment = unescape(fragment, Part::Fragment).map_err(|e| shown(text, e))?;
            if escape(&url.fragment, Part::Fragment) != fragment {
                url.raw_fragment = fragment.into();
            }
        }
        Ok(url)
    }

    fn parse_without_fragment(text: &str) -> Parsed<Self> {
        let mut url = Self::default();
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        if text == "*" {
            url.path = "*".into();
            return Ok(url);
        }
        let (scheme, mut rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with('?') && rest.matches('?').count() == 1 {
            url.force_query = true;
            rest = rest.strip_suffix('?').unwrap_or(rest);
        } else if let Some((before, query)) = rest.split_once('?') {
            url.query = query.into();
            rest = before;
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.into();
                return Ok(url);
            }
            let segment = rest.split('/').next().unwrap_or(rest);
            if segment.contains(':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        let may_have_host = !url.scheme.is_empty() || !rest.starts_with("///");
        if may_have_host && let Some(authority) = rest.strip_prefix("//") {
            let end = authority.find('/').unwrap_or(authority.len());
            let (authority, path) = authority.split_at_checked(end).unwrap_or((authority, ""));
            url.set_authority(authority)?;
            rest = path;
        }
        url.path = unescape(rest, Part::Path)?;
        if escape(&url.path, Part::Path) != rest {
            url.raw_path = rest.into();
        }
        Ok(url)
    }

    fn set_authority(&mut self, authority: &str) -> Parsed<()> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.host = parse_host(host)?;
        let Some(user) = user else { return Ok(()) };
        let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !user.chars().all(valid) {
            return Err("net/url: invalid userinfo".into());
        }
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(unescape(password, Part::User)?)),
            None => (user, None),
        };
        self.user = Some(User { name: unescape(name, Part::User)?, password });
        Ok(())
    }

    fn hostname(&self) -> &str {
        let host = &self.host;
        if let Some(inner) = host.strip_prefix('[') {
            return inner.split_once(']').map_or(host, |(inner, _)| inner);
        }
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        }
    }

    fn into_map(self) -> Value {
        let hostname = self.hostname().to_owned();
        let user = self.user.as_ref().map(User::to_text).unwrap_or_default();
        let entries: Entries = [
            ("scheme", self.scheme),
            ("host", self.host),
            ("hostname", hostname),
            ("path", self.path),
            ("query", self.query),
            ("opaque", self.opaque),
            ("fragment", self.fragment),
            ("userinfo", user),
        ]
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
        Map::new(MapKind::Any, entries).into()
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.push_str("//");
                }
                if let Some(user) = &self.user {
                    out.push_str(&user.to_text());
                    out.push('@');
                }
                out.push_str(&escape(&self.host, Part::Host));
            }
            let path = escape(&self.path, Part::Path);
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|part| part.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.force_query || !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&escape(&self.fragment, Part::Fragment));
        }
        out
    }
}

impl User {
    fn to_text(&self) -> String {
        let name = escape(&self.name, Part::User);
        match &self.password {
            Some(password) => format!("{name}:{}", escape(password, Part::User)),
            None => name,
        }
    }
}

fn split_scheme(text: &str) -> Parsed<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => {
                return Ok((
                    text.get(..at).unwrap_or_default(),
                    text.get(at + 1..).unwrap_or_default(),
                ));
            }
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse_host(host: &str) -> Parsed<String> {
    let bad_port = |port: &str| {
        let shown = quote::quote(port.as_bytes());
        Err(format!("invalid port {shown} after host"))
    };
    let valid_port = |port: &str| {
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if host.starts_with('[') {
        let Some(end) = host.rfind(']') else { return Err("missing ']' in host".into()) };
        let port = host.get(end + 1..).unwrap_or_default();
        if !valid_port(port) {
            return bad_port(port);
        }
        let inner = host.get(..end).unwrap_or_default();
        if let Some(zone) = inner.find("%25") {
            let (address, zone) = inner.split_at_checked(zone).unwrap_or((inner, ""));
            let address = unescape(address, Part::Host)?;
            let zone = unescape(zone, Part::Zone)?;
            return Ok(format!("{address}{zone}{}", unescape(&format!("]{port}"), Part::Host)?));
        }
    } else if let Some(colon) = host.rfind(':') {
        let port = host.get(colon..).unwrap_or_default();
        if !valid_port(port) {
            return bad_port(port);
        }
    }
    unescape(host, Part::Host)
}

fn unescape(text: &str, part: Part) -> Parsed<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let digits = rest.get(1..3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
                let end = rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at);
                let shown = quote::quote(rest.get(..end).unwrap_or(rest).as_bytes());
                return Err(format!("invalid URL escape {shown}"));
            };
            if part == Part::Host && byte < 0x80 && rest.get(..3) != Some("%25") {
                let shown = quote::quote(rest.get(..3).unwrap_or(rest).as_bytes());
                return Err(format!("invalid URL escape {shown}"));
            }
            out.push(byte);
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        if matches!(part, Part::Host | Part::Zone) && c.is_ascii() && escaped(c as u8, part) {
            let shown = quote::quote(c.to_string().as_bytes());
            return Err(format!("invalid character {shown} in host name"));
        }
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Ok(crate::text::lossy(&out))
}

fn escaped(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() {
        return false;
    }
    match byte {
        b'-' | b'_' | b'.' | b'~' => false,
        b'!' | b'\'' | b'(' | b')' | b'*' | b'[' | b']' | b'<' | b'>' | b'"'
            if matches!(part, Part::Host | Part::Zone) =>
        {
            false
        }
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Host | Part::Zone => {
                !matches!(byte, b'$' | b'&' | b'+' | b',' | b':' | b';' | b'=')
            }
            Part::Fragment => false,
        },
        b'!' | b'(' | b')' | b'*' => part != Part::Fragment,
        _ => true,
    }
}

fn escape(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if escaped(byte, part) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn url_join(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let part = |key: &str| -> Result<String, Fail> {
        let Some(value) = args.map(0).and_then(|map| map.get(key)) else {
            return Ok(String::new());
        };
        match &value.data {
            Data::Str(text) => Ok(text.to_str().into_owned()),
            Data::Nil | Data::NoValue => Err(crate::function::NIL_POINTER.into()),
            _ => {
                let kind = value.kind_name();
                let message =
                    format!("unable to parse {key} key, must be of type string, but {kind} found");
                Err(message.into())
            }
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        ..Url::default()
    };
    let user = part("userinfo")?;
    if !user.is_empty() {
        let parsed = Url::parse(&format!("proto://{user}@host"))
            .map_err(|message| format!("unable to parse userinfo in dict: {message}"))?;
        url.user = parsed.user;
    }
    Ok(url.to_text().into())
}

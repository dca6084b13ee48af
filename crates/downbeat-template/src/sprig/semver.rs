//! Semantic versions and constraints, as `Masterminds/semver` 3.3 reads and compares them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::Regex;

use crate::function::{Args, Fail, Function, Type, function};
use crate::value::{Data, Value};

use Type::Str;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("semver", &[Str], |_, args| {
        Ok(Data::Version(Arc::new(Version::parse(&args.str(0))?)).into())
    }),
    function("semverCompare", &[Str, Str], |context, args| {
        context.budget.spend(args.bytes(0).len() + args.bytes(1).len())?;
        let constraints = Constraints::parse(&args.str(0))?;
        Ok(constraints.check(&Version::parse(&args.str(1))?).into())
    }),
];

/// A version, lenient about missing parts and a leading `v`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    metadata: String,
    original: String,
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string() && self.original == other.original
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

const SUFFIX: &str =
    r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

fn cached(
    cell: &'static OnceLock<Option<Regex>>,
    pattern: impl FnOnce() -> String,
) -> Option<&'static Regex> {
    cell.get_or_init(|| Regex::new(&pattern()).ok()).as_ref()
}

impl Version {
    fn parse(text: &str) -> Result<Self, Fail> {
        static REGEX: OnceLock<Option<Regex>> = OnceLock::new();
        let regex = cached(&REGEX, || format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{SUFFIX}$"));
        let captures =
            regex.and_then(|regex| regex.captures(text)).ok_or("Invalid Semantic Version")?;
        let part = |index: usize| captures.get(index).map_or("", |part| part.as_str());
        let number = |index: usize| {
            let digits = part(index).trim_start_matches('.');
            if digits.is_empty() {
                return Ok(0);
            }
            digits.parse::<u64>().map_err(|_| {
                let digits = crate::quote::quote(digits.as_bytes());
                Fail::from(format!(
                    "Error parsing version segment: strconv.ParseUint: parsing {digits}: value out of range"
                ))
            })
        };
        let version = Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            pre: part(5).into(),
            metadata: part(8).into(),
            original: text.into(),
        };
        let is_number = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit());
        if version.pre.split('.').any(|id| id.len() > 1 && is_number(id) && id.starts_with('0')) {
            return Err("Version segment starts with 0".into());
        }
        Ok(version)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(&self.pre, &other.pre),
            }
        })
    }

    fn next(&self, (major, minor, patch): (u64, u64, u64)) -> Self {
        let mut next = Self { major, minor, patch, ..Self::default() };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{next}");
        next
    }
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        let ordering = compare_part(left.unwrap_or(""), right.unwrap_or(""));
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (a.is_empty(), b.is_empty()) {
        (true, _) => return Ordering::Less,
        (_, true) => return Ordering::Greater,
        _ => {}
    }
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// The methods a template may call on a version; `None` if there is no such method.
pub(crate) fn method(
    version: &Version,
    name: &str,
    args: &Args<'_>,
) -> Option<Result<Value, String>> {
    let uint = |value: u64| Ok(Value::from(value));
    let made = |version: Version| Ok(Data::Version(Arc::new(version)).into());
    let Version { major, minor, patch, .. } = *version;
    Some(match name {
        "Major" => uint(major),
        "Minor" => uint(minor),
        "Patch" => uint(patch),
        "Prerelease" => Ok(version.pre.as_str().into()),
        "Metadata" => Ok(version.metadata.as_str().into()),
        "Original" => Ok(version.original.as_str().into()),
        "String" => Ok(version.to_string().into()),
        "IncMajor" => made(version.next((major.saturating_add(1), 0, 0))),
        "IncMinor" => made(version.next((major, minor.saturating_add(1), 0))),
        "IncPatch" => {
            let patch = if version.pre.is_empty() { patch.saturating_add(1) } else { patch };
            made(version.next((major, minor, patch)))
        }
        "Compare" | "Equal" | "LessThan" | "GreaterThan" => {
            let Data::Version(other) = &args.get(0).data else {
                return Some(Err("wrong type for value; expected *semver.Version".into()));
            };
            let ordering = version.compare(other);
            Ok(match name {
                "Compare" => (ordering as i64).into(),
                "Equal" => (ordering == Ordering::Equal).into(),
                "LessThan" => (ordering == Ordering::Less).into(),
                _ => (ordering == Ordering::Greater).into(),
            })
        }
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    TildeOrEqual,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// One comparison; the flags say which parts were left open (`1.x`).
struct Constraint {
    operator: Operator,
    version: Version,
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

/// Alternatives of conjunctions.
struct Constraints(Vec<Vec<Constraint>>);

const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const LOOSE: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?";

impl Constraints {
    fn parse(text: &str) -> Result<Self, Fail> {
        static RANGE: OnceLock<Option<Regex>> = OnceLock::new();
        static FIND: OnceLock<Option<Regex>> = OnceLock::new();
        static VALID: OnceLock<Option<Regex>> = OnceLock::new();
        let version = format!("{LOOSE}{SUFFIX}");
        let range = cached(&RANGE, || format!(r"\s*({version})\s+-\s+({version})\s*"));
        let find = cached(&FIND, || format!(r"({OPERATORS})\s*({version})"));
        let valid = cached(&VALID, || {
            format!(
                r"^(\s*({OPERATORS})\s*({version})\s*)((?:\s+|,\s*)({OPERATORS})\s*({version})\s*)*$"
            )
        });
        let (Some(range), Some(find), Some(valid)) = (range, find, valid) else {
            return Err("constraint Parser Error".into());
        };
        let mut rewritten = text.to_owned();
        for captures in range.captures_iter(text) {
            let part = |index: usize| captures.get(index).map_or("", |part| part.as_str());
            let bounds = format!(">= {}, <= {} ", part(1), part(11));
            rewritten = rewritten.replacen(part(0), &bounds, 1);
        }
        let mut alternatives = Vec::new();
        for alternative in rewritten.split("||") {
            if !valid.is_match(alternative) {
                return Err(format!("improper constraint: {alternative}").into());
            }
            let parts = find.find_iter(alternative);
            alternatives.push(
                parts.map(|part| Constraint::parse(part.as_str())).collect::<Result<_, _>>()?,
            );
        }
        Ok(Self(alternatives))
    }

    fn check(&self, version: &Version) -> bool {
        self.0.iter().any(|all| all.iter().all(|constraint| constraint.check(version)))
    }
}

impl Constraint {
    fn parse(text: &str) -> Result<Self, Fail> {
        static REGEX: OnceLock<Option<Regex>> = OnceLock::new();
        let regex = cached(&REGEX, || format!(r"^\s*({OPERATORS})\s*({LOOSE}{SUFFIX})\s*$"));
        let captures = regex
            .and_then(|regex| regex.captures(text))
            .ok_or_else(|| format!("improper constraint: {text}"))?;
        let part = |index: usize| captures.get(index).map_or("", |part| part.as_str());
        let operator = match part(1) {
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterEqual,
            "<=" | "=<" => Operator::LessEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => Operator::TildeOrEqual,
        };
        let open = |index: usize| matches!(part(index), "" | "x" | "X" | "*" | ".x" | ".X" | ".*");
        let (major, minor, pre) = (part(3), part(4), part(6));
        let (minor_dirty, patch_dirty, full) = if open(3) {
            (false, false, format!("0.0.0{pre}"))
        } else if open(4) {
            (true, false, format!("{major}.0.0{pre}"))
        } else if open(5) {
            (false, true, format!("{major}{minor}.0{pre}"))
        } else {
            (false, false, part(2).into())
        };
        let version = Version::parse(&full).map_err(|_| "constraint Parser Error")?;
        let dirty = open(3) || open(4) || open(5);
        Ok(Self { operator, version, dirty, minor_dirty, patch_dirty })
    }

    fn check(&self, version: &Version) -> bool {
        let wanted = &self.version;
        let ordering = version.compare(wanted);
        // A constraint without a prerelease never matches one.
        let unwanted_pre = !version.pre.is_empty() && wanted.pre.is_empty();
        match self.operator {
            Operator::NotEqual => self.not_equal(version, unwanted_pre),
            _ if unwanted_pre => false,
            Operator::Greater => self.greater(version),
            Operator::Less => ordering == Ordering::Less,
            Operator::GreaterEqual => ordering != Ordering::Less,
            Operator::LessEqual if !self.dirty => ordering != Ordering::Greater,
            Operator::LessEqual => {
                version.major < wanted.major
                    || version.major == wanted.major
                        && (version.minor <= wanted.minor || self.minor_dirty)
            }
            Operator::Tilde => self.tilde(version),
            Operator::TildeOrEqual if self.dirty => self.tilde(version),
            Operator::TildeOrEqual => ordering == Ordering::Equal,
            Operator::Caret => self.caret(version),
        }
    }

    fn not_equal(&self, version: &Version, unwanted_pre: bool) -> bool {
        let wanted = &self.version;
        if self.dirty {
            if unwanted_pre {
                return false;
            }
            if version.major != wanted.major {
                return true;
            }
            if version.minor != wanted.minor && !self.minor_dirty {
                return true;
            }
            if self.minor_dirty {
                return false;
            }
            if version.patch != wanted.patch && !self.patch_dirty {
                return true;
            }
            if self.patch_dirty {
                return (!version.pre.is_empty() || !wanted.pre.is_empty())
                    && compare_pre(&version.pre, &wanted.pre) != Ordering::Equal;
            }
        }
        version.compare(wanted) != Ordering::Equal
    }

    fn greater(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if !self.dirty || version.major == wanted.major && !self.minor_dirty && !self.patch_dirty {
            return version.compare(wanted) == Ordering::Greater;
        }
        match version.major.cmp(&wanted.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => !self.minor_dirty && version.minor > wanted.minor,
        }
    }

    fn tilde(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version.compare(wanted) == Ordering::Less {
            return false;
        }
        let zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0);
        if zero && !self.minor_dirty && !self.patch_dirty {
            return true;
        }
        version.major == wanted.major && (version.minor == wanted.minor || self.minor_dirty)
    }

    fn caret(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version.compare(wanted) == Ordering::Less {
            return false;
        }
        if wanted.major > 0 || self.minor_dirty {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.patch_dirty {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}

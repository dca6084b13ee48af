//! The functions every Go template has: comparison, logic, indexing, printing, escaping.
//!
//! All but `slice`, which Sprig's function of that name hides.

use crate::format;
use crate::function::{Args, Context, Fail, Function, Special, Type, function};
use crate::limits::Limit;
use crate::text::Text;
use crate::unicode;
use crate::value::{Data, Value};

use Type::{Any, Reflect};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("and", &[Reflect], never).rest(Reflect).own().special(Special::And),
    function("or", &[Reflect], never).rest(Reflect).own().special(Special::Or),
    function("call", &[Reflect], never).rest(Reflect).special(Special::Call),
    function("not", &[Reflect], |_, args| Ok((!args.get(0).truth()).into())).own(),
    function("index", &[Reflect], index).rest(Reflect).shallow(),
    function("len", &[Reflect], len).shallow(),
    function("eq", &[Reflect], eq).rest(Reflect).own(),
    function("ne", &[Reflect, Reflect], |_, args| {
        Ok((!equal_any(args.get(0), args.rest(1))?).into())
    })
    .own(),
    function("lt", &[Reflect, Reflect], |_, args| Ok(less(args.get(0), args.get(1))?.into())).own(),
    function("le", &[Reflect, Reflect], |_, args| Ok(less_or_equal(args)?.into())).own(),
    function("gt", &[Reflect, Reflect], |_, args| Ok((!less_or_equal(args)?).into())).own(),
    function("ge", &[Reflect, Reflect], |_, args| Ok((!less(args.get(0), args.get(1))?).into()))
        .own(),
    function("print", &[], |context, args| {
        fitted(format::sprint(args.rest(0), context.budget.limits.value_bytes))
    })
    .rest(Any),
    function("println", &[], |context, args| {
        fitted(format::sprintln(args.rest(0), context.budget.limits.value_bytes))
    })
    .rest(Any),
    function("printf", &[Type::Str], |context, args| {
        let max = context.budget.limits.value_bytes;
        fitted(format::sprintf(args.bytes(0), args.rest(1), max))
    })
    .rest(Any),
    function("html", &[], |context, args| escaped(context, args, html)).rest(Any),
    function("js", &[], |context, args| escaped(context, args, js)).rest(Any),
    function("urlquery", &[], |context, args| escaped(context, args, url_query)).rest(Any),
];

/// Stands in for the functions the executor evaluates itself.
fn never(_: &mut Context, _: &mut Args<'_>) -> Result<Value, Fail> {
    Ok(Value::NO_VALUE)
}

fn fitted(text: Option<Text>) -> Result<Value, Fail> {
    text.map(Value::from).ok_or(Fail::Limit(Limit::Value))
}

// Indexing.

fn index(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let mut item = args.take(0);
    if item.is_nil() {
        return Err("index of untyped nil".into());
    }
    for index in args.rest(1) {
        let tainted = item.has_taint();
        let next = match &item.data {
            Data::NoValue | Data::Nil => return Err("index of nil pointer".into()),
            Data::List(list) => {
                let at = index_arg(index, list.len())?;
                list.element(at).ok_or("reflect: slice index out of range")?
            }
            Data::Str(text) => {
                let at = index_arg(index, text.len())?;
                let byte = text
                    .as_bytes()
                    .get(at)
                    .ok_or_else(|| Fail::from("reflect: string index out of range"))?;
                Data::Byte(*byte).into()
            }
            Data::Map(map) => {
                let key = match &index.data {
                    Data::Str(key) => key.to_str(),
                    Data::NoValue | Data::Nil => {
                        return Err("value is nil; should be of type string".into());
                    }
                    _ => {
                        let found = index.type_name();
                        return Err(format!("value has type {found}; should be string").into());
                    }
                };
                match (map.element(&key), map.kind()) {
                    (Some(value), _) => value,
                    (None, crate::value::MapKind::Any) => Value::nil(),
                    (None, crate::value::MapKind::Str) => "".into(),
                }
            }
            _ => return Err(format!("can't index item of type {}", pointee(&item)).into()),
        };
        item = next.taint_if(tainted);
    }
    Ok(item)
}

/// The type behind a pointer, which is what these functions complain about.
fn pointee(value: &Value) -> &'static str {
    let name = value.type_name();
    name.strip_prefix('*').unwrap_or(name)
}

fn index_arg(index: &Value, length: usize) -> Result<usize, Fail> {
    let at = match index.data {
        Data::Int(at) | Data::Int64(at) => at,
        Data::Uint(at) => at as i64,
        Data::Byte(at) => at.into(),
        Data::NoValue | Data::Nil => return Err("cannot index slice/array with nil".into()),
        _ => {
            let found = index.type_name();
            return Err(format!("cannot index slice/array with type {found}").into());
        }
    };
    usize::try_from(at)
        .ok()
        .filter(|at| *at <= length)
        .ok_or_else(|| format!("index out of range: {at}").into())
}

fn len(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let item = args.get(0);
    let length = match &item.data {
        Data::Str(text) => text.len(),
        Data::List(list) => list.len(),
        Data::Map(map) => map.read().len(),
        Data::Nil => return Err("len of nil pointer".into()),
        Data::NoValue => return Err(INVALID_VALUE_TYPE.into()),
        _ => return Err(format!("len of type {}", pointee(item)).into()),
    };
    Ok((length as i64).into())
}

/// What Go's reflection panics with for the type of nothing.
const INVALID_VALUE_TYPE: &str = "reflect: call of reflect.Value.Type on zero Value";

// Comparison.

#[derive(PartialEq, Clone, Copy)]
enum Basic {
    Bool,
    Complex,
    Int,
    Float,
    Str,
    Uint,
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value.data {
        Data::Bool(_) => Basic::Bool,
        Data::Int(_) | Data::Int64(_) => Basic::Int,
        Data::Uint(_) | Data::Byte(_) => Basic::Uint,
        Data::Float(_) => Basic::Float,
        Data::Complex(..) => Basic::Complex,
        Data::Str(_) => Basic::Str,
        _ => return None,
    })
}

fn int(value: &Value) -> i64 {
    match value.data {
        Data::Int(int) | Data::Int64(int) => int,
        _ => 0,
    }
}

fn uint(value: &Value) -> u64 {
    match value.data {
        Data::Uint(uint) => uint,
        Data::Byte(byte) => byte.into(),
        _ => 0,
    }
}

fn eq(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    if args.len() < 2 {
        return Err("missing argument for comparison".into());
    }
    Ok(equal_any(args.get(0), args.rest(1))?.into())
}

fn equal_any(first: &Value, others: &[Value]) -> Result<bool, Fail> {
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn incompatible(a: &Value, b: &Value) -> Fail {
    let (a, b) = (a.type_name(), b.type_name());
    format!("incompatible types for comparison: {a} and {b}").into()
}

fn equal(a: &Value, b: &Value) -> Result<bool, Fail> {
    let (kind_a, kind_b) = (basic(a), basic(b));
    if kind_a != kind_b {
        return match (kind_a, kind_b) {
            (Some(Basic::Int), Some(Basic::Uint)) => Ok(u64::try_from(int(a)) == Ok(uint(b))),
            (Some(Basic::Uint), Some(Basic::Int)) => Ok(u64::try_from(int(b)) == Ok(uint(a))),
            _ if a.is_nil() || b.is_nil() => Ok(false),
            _ => Err(incompatible(a, b)),
        };
    }
    match (&a.data, &b.data) {
        (Data::Bool(a), Data::Bool(b)) => Ok(a == b),
        (Data::Float(a), Data::Float(b)) => Ok(a == b),
        (Data::Complex(a, b), Data::Complex(c, d)) => Ok(a == c && b == d),
        (Data::Str(a), Data::Str(b)) => Ok(a == b),
        _ => match kind_a {
            Some(Basic::Int) => Ok(int(a) == int(b)),
            Some(Basic::Uint) => Ok(uint(a) == uint(b)),
            _ => equal_other(a, b),
        },
    }
}

fn equal_other(a: &Value, b: &Value) -> Result<bool, Fail> {
    let nil = |value: &Value| match &value.data {
        Data::NoValue | Data::Nil => true,
        Data::List(list) => list.is_nil(),
        _ => false,
    };
    if a.kind_name() != b.kind_name() && !a.is_nil() && !b.is_nil() {
        let (shown_a, shown_b) = (reflect_string(a), format::show(b));
        let message = format!(
            "non-comparable types {shown_a}: {}, {}: {shown_b}",
            a.type_name(),
            b.type_name()
        );
        return Err(message.into());
    }
    if nil(a) || nil(b) {
        return Ok(nil(a) == nil(b));
    }
    match (&a.data, &b.data) {
        (Data::Time(a), Data::Time(b)) => Ok(a == b),
        (Data::Version(a), Data::Version(b)) => Ok(std::sync::Arc::ptr_eq(a, b)),
        _ => {
            let (shown, found) = (reflect_string(b), b.type_name());
            Err(format!("non-comparable type {shown}: {found}").into())
        }
    }
}

/// What `%s` makes of a `reflect.Value`: the value it holds.
fn reflect_string(value: &Value) -> String {
    format::sprintf(b"%s", std::slice::from_ref(value), 1 << 16)
        .map(|text| text.to_str().into_owned())
        .unwrap_or_default()
}

fn less(a: &Value, b: &Value) -> Result<bool, Fail> {
    let invalid = || Fail::from("invalid type for comparison");
    let kind_a = basic(a).ok_or_else(invalid)?;
    let kind_b = basic(b).ok_or_else(invalid)?;
    match (kind_a, kind_b) {
        (Basic::Int, Basic::Uint) => {
            Ok(u64::try_from(int(a)).is_ok_and(|a| a < uint(b)) || int(a) < 0)
        }
        (Basic::Uint, Basic::Int) => Ok(u64::try_from(int(b)).is_ok_and(|b| uint(a) < b)),
        _ if kind_a != kind_b => Err(incompatible(a, b)),
        (Basic::Int, _) => Ok(int(a) < int(b)),
        (Basic::Uint, _) => Ok(uint(a) < uint(b)),
        _ => match (&a.data, &b.data) {
            (Data::Float(a), Data::Float(b)) => Ok(a < b),
            (Data::Str(a), Data::Str(b)) => Ok(a.as_bytes() < b.as_bytes()),
            _ => Err(invalid()),
        },
    }
}

fn less_or_equal(args: &Args<'_>) -> Result<bool, Fail> {
    let (a, b) = (args.get(0), args.get(1));
    Ok(less(a, b)? || equal(a, b)?)
}

// Escaping.

fn escaped(
    context: &mut Context,
    args: &Args<'_>,
    escape: fn(&[u8], &mut Vec<u8>),
) -> Result<Value, Fail> {
    // Unlike `print`, these show nil the way a plain action does.
    let shown = |value: &Value| if value.is_nil() { "<no value>".into() } else { value.clone() };
    let values: Vec<Value> = args.rest(0).iter().map(shown).collect();
    let text = format::sprint(&values, context.budget.limits.value_bytes)
        .ok_or(Fail::Limit(Limit::Value))?;
    let mut out = Vec::with_capacity(text.len());
    escape(text.as_bytes(), &mut out);
    Ok(Text::from_bytes(out).into())
}

fn html(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
}

fn js(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(br"\\"),
                '\'' => out.extend_from_slice(br"\'"),
                '"' => out.extend_from_slice(br#"\""#),
                '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                    out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes());
                }
                _ if c.is_ascii() || unicode::is_print(c) => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            // Go prints the byte as it is: U+FFFD is a printable symbol.
            out.push(*byte);
        }
    }
}

fn url_query(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
}

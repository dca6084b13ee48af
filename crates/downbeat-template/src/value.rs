//! The values templates work on: JSON's, plus what Go's functions can make of them.
//!
//! Maps are shared and mutable, because `set`, `unset` and `merge` change a map for everyone who
//! holds it; they are ordered by key, which is the order Go prints and ranges in. A value carries
//! a taint bit that covers everything below it: it is passed on whenever something is taken out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::sprig::date::Time;
use crate::sprig::semver::Version;
use crate::text::Text;

/// A template value. Cloning is cheap; clones of a map are the same map.
#[derive(Clone)]
pub struct Value {
    pub(crate) data: Data,
    tainted: bool,
    /// Taken out of an `interface{}` slot and not yet unwrapped; Go's messages show the difference.
    boxed: bool,
}

#[derive(Clone)]
pub(crate) enum Data {
    /// Go's zero `reflect.Value`: what a missing key evaluates to. Prints `<no value>`.
    NoValue,
    /// A nil interface: what a key holding `null` evaluates to.
    Nil,
    Bool(bool),
    /// Go's `int`: literals and integers from JSON.
    Int(i64),
    /// Go's `int64`: what Sprig's arithmetic returns.
    Int64(i64),
    /// Go's `uint64`.
    Uint(u64),
    /// Go's `uint8`: an indexed character.
    Byte(u8),
    Float(f64),
    Complex(f64, f64),
    Str(Text),
    List(List),
    Map(Map),
    Time(Time),
    Version(Arc<Version>),
}

pub(crate) static NIL: Value = Value { data: Data::Nil, tainted: false, boxed: false };

impl Value {
    pub(crate) const NO_VALUE: Self = Self { data: Data::NoValue, tainted: false, boxed: false };

    /// Makes Go's nil, JSON's null.
    pub const fn nil() -> Self {
        Self { data: Data::Nil, tainted: false, boxed: false }
    }

    /// Makes a list.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        List::new(ListKind::Any, items.into_iter().collect()).into()
    }

    /// Makes a map; of two equal keys the later wins.
    pub fn map(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect();
        Map::new(MapKind::Any, entries).into()
    }

    /// Makes an empty map.
    pub fn object() -> Self {
        Map::default().into()
    }

    /// Returns the entry of a map; `None` when it is missing or this is no map.
    pub fn get(&self, key: &str) -> Option<Self> {
        match &self.data {
            Data::Map(map) => map.get(key).map(|value| value.taint_if(self.tainted)),
            _ => None,
        }
    }

    /// Puts an entry into a map, for every holder of the map; does nothing when this is no map.
    pub fn insert(&self, key: impl Into<String>, value: impl Into<Self>) {
        if let Data::Map(map) = &self.data {
            map.write().insert(Arc::from(key.into()), value.into());
        }
    }

    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Str(Text::Utf8(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns whether this is nil or absent.
    pub fn is_nil(&self) -> bool {
        matches!(self.data, Data::Nil | Data::NoValue)
    }

    /// Marks the value and everything below it as secret. The mark belongs to this handle: other
    /// handles to the same map keep theirs.
    #[must_use]
    pub fn tainted(mut self) -> Self {
        self.tainted = true;
        self
    }

    /// Returns whether the value itself or anything below it is secret.
    pub fn is_tainted(&self) -> bool {
        self.taint_and_cost().0
    }

    /// Returns the same, and how many values had to be looked at.
    pub(crate) fn taint_and_cost(&self) -> (bool, usize) {
        const FUEL: usize = 1_000_000;
        let mut fuel = FUEL;
        let tainted = self.tainted || self.taint_below(MAX_WALK, &mut fuel);
        (tainted, FUEL - fuel)
    }

    /// Returns whether the value itself is secret, without looking below it.
    pub(crate) fn has_taint(&self) -> bool {
        self.tainted
    }

    /// Follows names through nested maps without copying what is in between. `None` if something
    /// on the way is neither a map nor missing, which the executor must then complain about.
    pub(crate) fn descend(&self, names: &[Arc<str>]) -> Option<Self> {
        let Some((name, rest)) = names.split_first() else { return Some(self.clone()) };
        let map = match &self.data {
            Data::Map(map) => map,
            Data::NoValue => return Some(Self::NO_VALUE),
            _ => return None,
        };
        let boxed = map.kind() == MapKind::Any;
        let entries = map.read();
        let Some(next) = entries.get(name) else { return Some(Self::NO_VALUE) };
        let found = next.descend(rest)?.taint_if(self.tainted);
        Some(if rest.is_empty() && boxed { found.into_boxed() } else { found })
    }

    pub(crate) fn taint_if(mut self, tainted: bool) -> Self {
        self.tainted |= tainted;
        self
    }

    /// Looks for taint in what a container holds. Past either bound the answer is "yes".
    fn taint_below(&self, depth: usize, fuel: &mut usize) -> bool {
        let mut found = |value: &Self| {
            *fuel = fuel.saturating_sub(1);
            value.tainted || *fuel == 0 || depth == 0 || value.taint_below(depth - 1, fuel)
        };
        match &self.data {
            Data::List(list) => list.iter().any(&mut found),
            Data::Map(map) => map.has_secret_keys() || map.read().values().any(found),
            _ => false,
        }
    }

    /// Marks a value just taken out of a `[]interface{}` or `map[string]interface{}`.
    pub(crate) fn into_boxed(mut self) -> Self {
        self.boxed = true;
        self
    }

    /// Unwraps the interface, as the end of every pipeline stage does: a nil one is no value.
    pub(crate) fn into_unboxed(mut self) -> Self {
        self.boxed = false;
        if matches!(self.data, Data::Nil) {
            self.data = Data::NoValue;
        }
        self
    }

    /// Go's truth: not the zero value of its type.
    pub(crate) fn truth(&self) -> bool {
        match &self.data {
            Data::NoValue | Data::Nil => false,
            Data::Bool(value) => *value,
            Data::Int(value) | Data::Int64(value) => *value != 0,
            Data::Uint(value) => *value != 0,
            Data::Byte(value) => *value != 0,
            Data::Float(value) => *value != 0.0,
            Data::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Data::Str(text) => !text.is_empty(),
            Data::List(list) => !list.is_empty(),
            Data::Map(map) => !map.read().is_empty(),
            Data::Time(_) | Data::Version(_) => true,
        }
    }

    /// The name Go's `%T` prints.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.data {
            Data::NoValue | Data::Nil => "<nil>",
            Data::Bool(_) => "bool",
            Data::Int(_) => "int",
            Data::Int64(_) => "int64",
            Data::Uint(_) => "uint64",
            Data::Byte(_) => "uint8",
            Data::Float(_) => "float64",
            Data::Complex(..) => "complex128",
            Data::Str(_) => "string",
            Data::List(list) => list.kind().type_name(),
            Data::Map(map) => map.kind().type_name(),
            Data::Time(_) => "time.Time",
            Data::Version(_) => "*semver.Version",
        }
    }

    /// The type as a field access sees it: an interface until it is unwrapped.
    pub(crate) fn static_type(&self) -> &'static str {
        if self.boxed || matches!(self.data, Data::Nil) { "interface {}" } else { self.type_name() }
    }

    /// The name of Go's `reflect.Kind`.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.data {
            Data::NoValue | Data::Nil => "invalid",
            Data::List(_) => "slice",
            Data::Map(_) => "map",
            Data::Time(_) => "struct",
            Data::Version(_) => "ptr",
            _ => self.type_name(),
        }
    }

    /// Converts to JSON. What JSON cannot say (absent values, NaN) becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        self.to_json_within(MAX_WALK)
    }

    fn to_json_within(&self, depth: usize) -> serde_json::Value {
        use serde_json::Value as Json;
        let Some(depth) = depth.checked_sub(1) else { return Json::Null };
        match &self.data {
            Data::NoValue | Data::Nil => Json::Null,
            Data::Bool(value) => (*value).into(),
            Data::Int(value) | Data::Int64(value) => (*value).into(),
            Data::Uint(value) => (*value).into(),
            Data::Byte(value) => (*value).into(),
            Data::Float(value) => (*value).into(),
            Data::Complex(..) => Json::Null,
            Data::Str(text) => text.to_str().into_owned().into(),
            Data::List(list) => list.iter().map(|item| item.to_json_within(depth)).collect(),
            Data::Map(map) => {
                let entries = map.read();
                let entry = |(key, value): (&Arc<str>, &Self)| {
                    (key.to_string(), value.to_json_within(depth))
                };
                Json::Object(entries.iter().map(entry).collect())
            }
            Data::Time(time) => time.rfc3339().into(),
            Data::Version(version) => version.to_string().into(),
        }
    }

    /// Copies every map and list, so that the copy shares nothing that can change.
    pub(crate) fn deep_copy(&self) -> Self {
        self.deep_copy_within(MAX_WALK)
    }

    fn deep_copy_within(&self, depth: usize) -> Self {
        let Some(depth) = depth.checked_sub(1) else { return Self::nil().taint_if(self.tainted) };
        let copy = |value: &Self| value.deep_copy_within(depth);
        let data = match &self.data {
            Data::List(list) => Data::List(List::new(list.kind(), list.iter().map(copy).collect())),
            Data::Map(map) => {
                let entries = map.read();
                let entries = entries.iter().map(|(key, value)| (key.clone(), copy(value)));
                let copied = Map::new(map.kind(), entries.collect());
                copied.mark_keys_if(map.has_secret_keys());
                Data::Map(copied)
            }
            other => other.clone(),
        };
        Self { data, tainted: self.tainted, boxed: false }
    }
}

/// Containers nested deeper than this are cut off by recursive walks; JSON parsers stop earlier.
const MAX_WALK: usize = 256;

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Self { data, tainted: false, boxed: false }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Data::Bool(value).into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Data::Int(value).into()
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Data::Uint(value).into()
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Data::Float(value).into()
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Data::Str(Text::Utf8(value.into())).into()
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Data::Str(Text::Utf8(value.into())).into()
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Self {
        Data::Str(value).into()
    }
}

impl From<List> for Value {
    fn from(value: List) -> Self {
        Data::List(value).into()
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Data::Map(value).into()
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::nil(),
            Json::Bool(value) => (*value).into(),
            Json::Number(number) => number_from_json(number),
            Json::String(text) => text.as_str().into(),
            Json::Array(items) => Self::list(items.iter().map(Self::from)),
            Json::Object(entries) => {
                let entry =
                    |(key, value): (&String, &Json)| (Arc::from(key.as_str()), value.into());
                Map::new(MapKind::Any, entries.iter().map(entry).collect()).into()
            }
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        Self::from(&json)
    }
}

fn number_from_json(number: &serde_json::Number) -> Value {
    if let Some(value) = number.as_i64() {
        value.into()
    } else if let Some(value) = number.as_u64() {
        value.into()
    } else {
        number.as_f64().unwrap_or(f64::NAN).into()
    }
}

/// Shows structure, never a secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tainted {
            return f.write_str("(secret)");
        }
        match &self.data {
            Data::List(list) => f.debug_list().entries(list.iter()).finish(),
            Data::Map(map) if map.has_secret_keys() => f.write_str("(secret)"),
            Data::Map(map) => f.debug_map().entries(map.read().iter()).finish(),
            _ => write!(f, "{}", self.to_json()),
        }
    }
}

/// The element type of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Str,
    /// `[]int`
    Int,
    /// `[][]interface {}`
    Lists,
}

impl ListKind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Str => "[]string",
            Self::Int => "[]int",
            Self::Lists => "[][]interface {}",
        }
    }
}

/// An immutable list.
#[derive(Clone)]
pub(crate) struct List(Arc<ListBody>);

struct ListBody {
    kind: ListKind,
    /// A nil slice: empty, and `null` in JSON.
    nil: bool,
    items: Vec<Value>,
}

impl List {
    pub(crate) fn new(kind: ListKind, items: Vec<Value>) -> Self {
        Self(Arc::new(ListBody { kind, nil: false, items }))
    }

    pub(crate) fn nil(kind: ListKind) -> Self {
        Self(Arc::new(ListBody { kind, nil: true, items: Vec::new() }))
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.0.nil
    }

    pub(crate) fn kind(&self) -> ListKind {
        self.0.kind
    }

    pub(crate) fn items(&self) -> &[Value] {
        &self.0.items
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.items.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// Returns an element as Go's reflection would: still in its interface, if it has one.
    pub(crate) fn element(&self, index: usize) -> Option<Value> {
        let value = self.0.items.get(index)?.clone();
        Some(if self.0.kind == ListKind::Any { value.into_boxed() } else { value })
    }
}

/// The value type of a map; keys are always strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKind {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`
    Str,
}

impl MapKind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Any => "map[string]interface {}",
            Self::Str => "map[string]string",
        }
    }
}

pub(crate) type Entries = BTreeMap<Arc<str>, Value>;

/// A shared, mutable map, ordered by key.
#[derive(Clone)]
pub(crate) struct Map(Arc<MapBody>);

struct MapBody {
    kind: MapKind,
    entries: RwLock<Entries>,
    /// A key was made from a secret. Then all keys count as secret, until the map is gone.
    secret_keys: AtomicBool,
}

impl Map {
    pub(crate) fn new(kind: MapKind, entries: Entries) -> Self {
        Self(Arc::new(MapBody { kind, entries: RwLock::new(entries), secret_keys: false.into() }))
    }

    pub(crate) fn kind(&self) -> MapKind {
        self.0.kind
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.0.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.read().get(key).cloned()
    }

    /// Returns an entry as Go's reflection would: still in its interface, if it has one.
    pub(crate) fn element(&self, key: &str) -> Option<Value> {
        let value = self.get(key)?;
        Some(if self.0.kind == MapKind::Any { value.into_boxed() } else { value })
    }

    /// Returns whether what is read from the keys is secret.
    pub(crate) fn has_secret_keys(&self) -> bool {
        self.0.secret_keys.load(Ordering::Relaxed)
    }

    /// Says that a key that was just put in is secret.
    pub(crate) fn mark_keys_if(&self, secret: bool) {
        if secret {
            self.0.secret_keys.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new(MapKind::Any, Entries::new())
    }
}

// A template can nest lists without bound (`$x = list $x` in a loop), and dropping them
// recursively would overflow the stack. So containers are taken apart with a work list.

impl Drop for ListBody {
    fn drop(&mut self) {
        if self.items.iter().any(Value::is_container) {
            take_apart(std::mem::take(&mut self.items));
        }
    }
}

impl Drop for MapBody {
    fn drop(&mut self) {
        let entries = self.entries.get_mut().unwrap_or_else(PoisonError::into_inner);
        if entries.values().any(Value::is_container) {
            take_apart(std::mem::take(entries).into_values().collect());
        }
    }
}

impl Value {
    fn is_container(&self) -> bool {
        matches!(self.data, Data::List(_) | Data::Map(_))
    }
}

fn take_apart(mut work: Vec<Value>) {
    while let Some(value) = work.pop() {
        match value.data {
            Data::List(List(body)) => {
                if let Some(mut body) = Arc::into_inner(body) {
                    work.append(&mut body.items);
                }
            }
            Data::Map(Map(body)) => {
                if let Some(mut body) = Arc::into_inner(body) {
                    let entries = body.entries.get_mut().unwrap_or_else(PoisonError::into_inner);
                    work.extend(std::mem::take(entries).into_values());
                }
            }
            _ => {}
        }
    }
}

//! Maps. `set`, `unset` and the merges change the map they are given, for everyone who holds it.

use crate::format;
use crate::function::{Args, Context, Fail, Function, Type, function};
use crate::limits::{Budget, Limit};
use crate::sprig::defaults;
use crate::value::{Data, Entries, List, ListKind, Map, MapKind, Value};

use Type::{Any, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("dict", &[], dict).rest(Any).own(),
    function("get", &[Type::Map, Str], |_, args| {
        let key = args.str(1);
        Ok(args.map(0).and_then(|map| map.get(&key)).unwrap_or_else(|| "".into()))
    })
    .shallow(),
    function("set", &[Type::Map, Str, Any], set).own(),
    function("unset", &[Type::Map, Str], |_, args| {
        let Some(map) = args.map(0) else { return Ok(Value::object()) };
        map.write().remove(&*args.str(1));
        Ok(args.take(0))
    })
    .own(),
    function("hasKey", &[Type::Map, Str], |_, args| {
        let key = args.str(1);
        Ok(args.map(0).is_some_and(|map| map.read().contains_key(&*key)).into())
    })
    .shallow(),
    function("pluck", &[Str], |_, args| {
        let key = args.str(0);
        let found = args.rest(1).iter().filter_map(|value| value.get(&key)).collect();
        Ok(List::new(ListKind::Any, found).into())
    })
    .rest(Type::Map)
    .shallow(),
    function("keys", &[], |context, args| {
        let mut keys = Vec::new();
        for value in args.rest(0) {
            if let Data::Map(map) = &value.data {
                let secret = map.has_secret_keys();
                let entries = map.read();
                context.budget.spend_list(entries.len())?;
                keys.extend(entries.keys().map(|key| Value::from(&**key).taint_if(secret)));
            }
        }
        Ok(List::new(ListKind::Str, keys).into())
    })
    .rest(Type::Map)
    .shallow(),
    function("values", &[Type::Map], |context, args| {
        let values: Vec<Value> =
            args.map(0).map(|map| map.read().values().cloned().collect()).unwrap_or_default();
        context.budget.spend_list(values.len())?;
        Ok(List::new(ListKind::Any, values).into())
    })
    .shallow(),
    function("pick", &[Type::Map], |context, args| select(context, args, true)).rest(Str).shallow(),
    function("omit", &[Type::Map], |context, args| select(context, args, false))
        .rest(Str)
        .shallow(),
    function("merge", &[Type::Map], |context, args| merge_all(context, args, false))
        .rest(Type::Map)
        .own(),
    function("mustMerge", &[Type::Map], |context, args| merge_all(context, args, false))
        .rest(Type::Map)
        .own(),
    function("mergeOverwrite", &[Type::Map], |context, args| merge_all(context, args, true))
        .rest(Type::Map)
        .own(),
    function("mustMergeOverwrite", &[Type::Map], |context, args| merge_all(context, args, true))
        .rest(Type::Map)
        .own(),
    function("dig", &[], dig).rest(Any).shallow(),
];

fn dict(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    context.budget.spend_list(args.len())?;
    let mut entries = Entries::new();
    let mut secret_keys = false;
    let mut args = args.take_all();
    while let Some(key) = args.next() {
        let text = match &key.data {
            Data::Str(text) => text.to_str().into_owned(),
            _ => format::show(&key),
        };
        let value = args.next().unwrap_or_else(|| "".into());
        // A secret key must not come to light when the map is printed, or its keys are read.
        let secret = key.is_tainted();
        secret_keys |= secret;
        entries.insert(text.into(), value.taint_if(secret));
    }
    let map = Map::new(MapKind::Any, entries);
    map.mark_keys_if(secret_keys);
    Ok(map.into())
}

fn set(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let secret = args.get(1).has_taint();
    let value = args.take(2).taint_if(secret);
    let map = args.map(0).ok_or("assignment to entry in nil map")?;
    refuse_cycle(&mut context.budget, map, &value)?;
    map.mark_keys_if(secret);
    map.write().insert(args.str(1).into(), value);
    Ok(args.take(0))
}

/// Go would let a map contain itself, and then crash printing it.
fn refuse_cycle(budget: &mut Budget, map: &Map, value: &Value) -> Result<(), Fail> {
    let mut work = vec![value.clone()];
    while let Some(value) = work.pop() {
        match &value.data {
            Data::List(list) => {
                budget.spend(1 + list.len())?;
                work.extend(list.iter().filter(|item| is_container(item)).cloned());
            }
            Data::Map(inner) if inner.is_same(map) => {
                return Err("a map cannot contain itself".into());
            }
            Data::Map(inner) => {
                let inner = inner.read();
                budget.spend(1 + inner.len())?;
                work.extend(inner.values().filter(|item| is_container(item)).cloned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_container(value: &Value) -> bool {
    matches!(value.data, Data::List(_) | Data::Map(_))
}

fn select(context: &mut Context, args: &Args<'_>, listed: bool) -> Result<Value, Fail> {
    let keys: Vec<String> = args
        .rest(1)
        .iter()
        .filter_map(|key| match &key.data {
            Data::Str(text) => Some(text.to_str().into_owned()),
            _ => None,
        })
        .collect();
    let Some(map) = args.map(0) else { return Ok(Value::object()) };
    let source = map.read();
    context.budget.spend_list(source.len().saturating_mul(keys.len() + 1))?;
    let entries = source
        .iter()
        .filter(|(key, _)| keys.iter().any(|listed| **listed == ***key) == listed)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let selected = Map::new(MapKind::Any, entries);
    selected.mark_keys_if(map.has_secret_keys());
    Ok(selected.into())
}

fn dig(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let count = args.len();
    if count < 3 {
        return Err("dig needs at least three arguments".into());
    }
    let mut current = args.take(count - 1);
    let default = args.take(count - 2);
    let steps = args.rest(0).get(..count - 2).unwrap_or_default();
    if !matches!(&current.data, Data::Map(map) if map.kind() == MapKind::Any) {
        return Err(conversion(&current, "map[string]interface {}"));
    }
    if let Some(step) = steps.iter().find(|step| !matches!(step.data, Data::Str(_))) {
        return Err(conversion(step, "string"));
    }
    for step in steps {
        let Data::Str(key) = &step.data else { continue };
        let next = match &current.data {
            Data::Map(map) if map.kind() == MapKind::Any => map.get(&key.to_str()),
            _ => return Err(conversion(&current, "map[string]interface {}")),
        };
        let Some(next) = next else { return Ok(default) };
        current = next.taint_if(current.has_taint());
    }
    Ok(current)
}

/// Go's text for a failed type assertion.
fn conversion(value: &Value, wanted: &str) -> Fail {
    let found = match value.data {
        Data::Nil | Data::NoValue => "nil",
        _ => value.type_name(),
    };
    format!("interface conversion: interface {{}} is {found}, not {wanted}").into()
}

// Merging.

fn merge_all(context: &mut Context, args: &mut Args<'_>, overwrite: bool) -> Result<Value, Fail> {
    let target = match args.map(0) {
        Some(map) => map.clone(),
        None => Map::default(),
    };
    for source in args.rest(1) {
        if let Data::Map(map) = &source.data {
            let merge = Merge { overwrite, tainted: source.has_taint() };
            merge.merge(&mut context.budget, &target, map, 0)?;
        }
    }
    let first = args.take(0);
    Ok(if first.is_nil() { target.into() } else { first })
}

/// One merge, as `mergo` does it.
struct Merge {
    overwrite: bool,
    /// Whether the source is secret, with everything in it.
    tainted: bool,
}

impl Merge {
    fn merge(
        &self,
        budget: &mut Budget,
        target: &Map,
        source: &Map,
        depth: usize,
    ) -> Result<(), Fail> {
        if target.is_same(source) {
            return Ok(());
        }
        if depth > 100 {
            return Err(Fail::Limit(Limit::Depth));
        }
        let entries: Vec<_> =
            source.read().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        budget.spend_list(entries.len())?;
        let secret_keys = self.tainted || source.has_secret_keys();
        for (key, value) in entries {
            let value = value.taint_if(self.tainted);
            let old = target.get(&key);
            if let (Some(Data::Map(old)), Data::Map(new)) =
                (old.as_ref().map(|old| &old.data), &value.data)
            {
                let below = Self { overwrite: self.overwrite, tainted: value.has_taint() };
                below.merge(budget, old, new, depth + 1)?;
                if !old.read().is_empty() {
                    continue;
                }
            }
            // Overwriting lets even an empty value win; filling in ignores nil.
            let replaces = !value.is_nil() && old.as_ref().is_none_or(defaults::is_empty);
            if self.overwrite || replaces {
                refuse_cycle(budget, target, &value)?;
                target.mark_keys_if(secret_keys);
                target.write().insert(key, value);
            }
        }
        Ok(())
    }
}

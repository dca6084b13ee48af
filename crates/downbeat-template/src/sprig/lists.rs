//! Lists. None is changed in place: every function makes a new one.

use crate::function::{Args, Context, Fail, Function, NIL_POINTER, Type, function};
use crate::sprig::{defaults, math, reflect};
use crate::value::{Data, List, ListKind, Value};

use Type::{Any, Int};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("list", &[], list).rest(Any).own(),
    function("tuple", &[], list).rest(Any).own(),
    function("append", &[Any, Any], push).own(),
    function("mustAppend", &[Any, Any], push).own(),
    function("push", &[Any, Any], push).own(),
    function("mustPush", &[Any, Any], push).own(),
    function("prepend", &[Any, Any], prepend).own(),
    function("mustPrepend", &[Any, Any], prepend).own(),
    function("first", &[Any], first).shallow(),
    function("mustFirst", &[Any], first).shallow(),
    function("last", &[Any], last).shallow(),
    function("mustLast", &[Any], last).shallow(),
    function("rest", &[Any], rest).shallow(),
    function("mustRest", &[Any], rest).shallow(),
    function("initial", &[Any], initial).shallow(),
    function("mustInitial", &[Any], initial).shallow(),
    function("reverse", &[Any], reverse).shallow(),
    function("mustReverse", &[Any], reverse).shallow(),
    function("uniq", &[Any], uniq).shallow(),
    function("mustUniq", &[Any], uniq).shallow(),
    function("without", &[Any], without).rest(Any).shallow(),
    function("mustWithout", &[Any], without).rest(Any).shallow(),
    function("has", &[Any, Any], has),
    function("mustHas", &[Any, Any], has),
    function("compact", &[Any], compact).shallow(),
    function("mustCompact", &[Any], compact).shallow(),
    function("slice", &[Any], slice).rest(Any).shallow(),
    function("mustSlice", &[Any], slice).rest(Any).shallow(),
    function("concat", &[], concat).rest(Any).own(),
    function("chunk", &[Int, Any], chunk).shallow(),
    function("mustChunk", &[Int, Any], chunk).shallow(),
];

/// The list argument at `index`, or Go's complaint that there is none.
fn list_arg<'a>(args: &'a Args<'_>, index: usize, verb: &str) -> Result<&'a List, Fail> {
    let value = args.get(index);
    match &value.data {
        Data::List(list) => Ok(list),
        Data::Nil | Data::NoValue => Err(NIL_POINTER.into()),
        _ => Err(format!("Cannot {verb} type {}", value.kind_name()).into()),
    }
}

fn made(items: Vec<Value>) -> Result<Value, Fail> {
    Ok(List::new(ListKind::Any, items).into())
}

/// Elements that keep the mark of the list they are taken from.
fn elements(args: &Args<'_>, index: usize, list: &List) -> Vec<Value> {
    let tainted = args.get(index).has_taint();
    list.iter().map(|item| item.clone().taint_if(tainted)).collect()
}

fn list(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    context.budget.spend_list(args.len())?;
    made(args.take_all().collect())
}

fn push(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "push on")?;
    context.budget.spend_list(list.len() + 1)?;
    let mut items = elements(args, 0, list);
    items.push(args.take(1));
    made(items)
}

fn prepend(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "prepend on")?;
    context.budget.spend_list(list.len() + 1)?;
    let old = elements(args, 0, list);
    let mut items = Vec::with_capacity(old.len() + 1);
    items.push(args.take(1));
    items.extend(old);
    made(items)
}

fn first(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    Ok(list_arg(args, 0, "find first on")?.items().first().cloned().unwrap_or(Value::nil()))
}

fn last(_: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    Ok(list_arg(args, 0, "find last on")?.items().last().cloned().unwrap_or(Value::nil()))
}

fn rest(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "find rest on")?;
    context.budget.spend_list(list.len())?;
    match list.items() {
        [] => Ok(List::nil(ListKind::Any).into()),
        [_, rest @ ..] => made(rest.to_vec()),
    }
}

fn initial(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "find initial on")?;
    context.budget.spend_list(list.len())?;
    match list.items() {
        [] => Ok(List::nil(ListKind::Any).into()),
        [initial @ .., _] => made(initial.to_vec()),
    }
}

fn reverse(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "find reverse on")?;
    context.budget.spend_list(list.len())?;
    made(list.iter().rev().cloned().collect())
}

fn in_list(context: &mut Context, list: &[Value], needle: &Value) -> Result<bool, Fail> {
    for item in list {
        if reflect::deep_equal(&mut context.budget, needle, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "find uniq on")?;
    let mut items: Vec<Value> = Vec::new();
    for item in list.iter() {
        if !in_list(context, &items, item)? {
            items.push(item.clone());
        }
    }
    made(items)
}

fn without(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "find without on")?;
    let mut items = Vec::new();
    for item in list.iter() {
        if !in_list(context, args.rest(1), item)? {
            items.push(item.clone());
        }
    }
    made(items)
}

fn has(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    if args.get(1).is_nil() {
        return Ok(false.into());
    }
    let list = list_arg(args, 1, "find has on")?;
    Ok(in_list(context, list.items(), args.get(0))?.into())
}

fn compact(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 0, "compact on")?;
    context.budget.spend_list(list.len())?;
    made(list.iter().filter(|item| !defaults::is_empty(item)).cloned().collect())
}

fn slice(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let value = args.get(0);
    let list = match &value.data {
        Data::List(list) => list,
        Data::Nil | Data::NoValue => return Err(NIL_POINTER.into()),
        _ => {
            let kind = value.kind_name();
            return Err(format!("list should be type of slice or array but {kind}").into());
        }
    };
    if list.is_empty() {
        return Ok(Value::nil());
    }
    context.budget.spend_list(list.len())?;
    let bound = |index: usize, default: i64| match args.rest(1).get(index) {
        Some(value) => math::to_int64(value),
        None => default,
    };
    let (from, to) = (bound(0, 0), bound(1, list.len() as i64));
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    let items = range.and_then(|(from, to)| list.items().get(from..to));
    match items {
        Some(items) => Ok(List::new(list.kind(), items.to_vec()).into()),
        None => Err("reflect.Value.Slice: slice index out of bounds".into()),
    }
}

fn concat(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    if args.len() == 0 {
        return Ok(List::nil(ListKind::Any).into());
    }
    let mut items = Vec::new();
    for (index, value) in args.rest(0).iter().enumerate() {
        match &value.data {
            Data::List(list) => {
                context.budget.spend_list(list.len())?;
                items.append(&mut elements(args, index, list));
            }
            Data::Nil | Data::NoValue => return Err(NIL_POINTER.into()),
            _ => return Err(format!("Cannot concat type {} as list", value.kind_name()).into()),
        }
    }
    if items.is_empty() { Ok(List::nil(ListKind::Any).into()) } else { made(items) }
}

fn chunk(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let list = list_arg(args, 1, "chunk")?;
    context.budget.spend_list(list.len())?;
    let size = args.int(0);
    if list.is_empty() && size > 0 {
        return Ok(List::new(ListKind::Lists, Vec::new()).into());
    }
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let size = size.ok_or("runtime error: makeslice: len out of range")?;
    let part = |items: &[Value]| Value::from(List::new(ListKind::Any, items.to_vec()));
    Ok(List::new(ListKind::Lists, list.items().chunks(size).map(part).collect()).into())
}

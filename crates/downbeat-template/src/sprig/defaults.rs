//! Emptiness, defaults and choices.

use crate::function::{Fail, Function, Type, function};
use crate::value::{Data, Value};

use Type::{Any, Bool};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("default", &[Any], |_, args| {
        let index = usize::from(args.len() > 1 && !is_empty(args.get(1)));
        Ok(args.take(index))
    })
    .rest(Any)
    .shallow(),
    function("empty", &[Any], |_, args| Ok(is_empty(args.get(0)).into())).shallow(),
    function("coalesce", &[], |_, args| {
        Ok(args.rest(0).iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::nil()))
    })
    .rest(Any)
    .shallow(),
    function("all", &[], |_, args| Ok((!args.rest(0).iter().any(is_empty)).into()))
        .rest(Any)
        .shallow(),
    function("any", &[], |_, args| Ok(args.rest(0).iter().any(|value| !is_empty(value)).into()))
        .rest(Any)
        .shallow(),
    function("ternary", &[Any, Any, Bool], |_, args| {
        let index = usize::from(!args.bool(2));
        Ok(args.take(index))
    })
    .shallow(),
    function("deepCopy", &[Any], |context, args| {
        copy_cost(context, args.get(0))?;
        Ok(args.get(0).deep_copy())
    })
    .shallow(),
    function("mustDeepCopy", &[Any], |context, args| {
        copy_cost(context, args.get(0))?;
        Ok(args.get(0).deep_copy())
    })
    .shallow(),
    function("fail", &[Type::Str], |_, args| Err(Fail::from(args.str(0).into_owned()))),
    function("required", &[Type::Str, Any], |_, args| {
        let missing = match &args.get(1).data {
            Data::Nil | Data::NoValue => true,
            Data::Str(text) => text.is_empty(),
            _ => false,
        };
        if missing {
            return Err(Fail::from(args.str(0).into_owned()));
        }
        Ok(args.take(1))
    })
    .shallow(),
];

/// Sprig's `empty`: the zero value of its type.
pub(crate) fn is_empty(value: &Value) -> bool {
    !value.truth()
}

/// Pays for a deep copy, in which what was shared is copied again and again.
fn copy_cost(context: &mut crate::function::Context, value: &Value) -> Result<(), Fail> {
    context.budget.spend(1)?;
    match &value.data {
        Data::List(list) => list.iter().try_for_each(|item| copy_cost(context, item)),
        Data::Map(map) => map.read().values().try_for_each(|item| copy_cost(context, item)),
        _ => Ok(()),
    }
}

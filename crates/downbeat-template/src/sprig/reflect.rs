//! Types and kinds by name, and deep equality.

use crate::function::{Fail, Function, Type, function};
use crate::limits::Budget;
use crate::value::{Data, Value};

use Type::{Any, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("typeOf", &[Any], |_, args| Ok(args.get(0).type_name().into())).shallow(),
    function("typeIs", &[Str, Any], |_, args| Ok((args.str(0) == args.get(1).type_name()).into()))
        .shallow(),
    function("typeIsLike", &[Str, Any], |_, args| {
        let (target, found) = (args.str(0), args.get(1).type_name());
        Ok((target == found || format!("*{target}") == found).into())
    })
    .shallow(),
    function("kindOf", &[Any], |_, args| Ok(args.get(0).kind_name().into())).shallow(),
    function("kindIs", &[Str, Any], |_, args| Ok((args.str(0) == args.get(1).kind_name()).into()))
        .shallow(),
    function("deepEqual", &[Any, Any], |context, args| {
        Ok(deep_equal(&mut context.budget, args.get(0), args.get(1))?.into())
    }),
];

/// Go's `reflect.DeepEqual`: an `int` never equals an `int64`, nor a nil list an empty one.
pub(crate) fn deep_equal(budget: &mut Budget, a: &Value, b: &Value) -> Result<bool, Fail> {
    deep_equal_within(budget, a, b, 0)
}

fn deep_equal_within(
    budget: &mut Budget,
    a: &Value,
    b: &Value,
    depth: usize,
) -> Result<bool, Fail> {
    budget.spend(1)?;
    if depth > 200 {
        return Err(Fail::Limit(crate::limits::Limit::Depth));
    }
    Ok(match (&a.data, &b.data) {
        (Data::NoValue | Data::Nil, Data::NoValue | Data::Nil) => true,
        (Data::Bool(a), Data::Bool(b)) => a == b,
        (Data::Int(a), Data::Int(b)) | (Data::Int64(a), Data::Int64(b)) => a == b,
        (Data::Uint(a), Data::Uint(b)) => a == b,
        (Data::Byte(a), Data::Byte(b)) => a == b,
        (Data::Float(a), Data::Float(b)) => a == b,
        (Data::Complex(a, b), Data::Complex(c, d)) => a == c && b == d,
        (Data::Str(a), Data::Str(b)) => {
            budget.spend(if a.len() == b.len() { a.len() / 64 } else { 0 })?;
            a == b
        }
        (Data::Time(a), Data::Time(b)) => a == b,
        (Data::Version(a), Data::Version(b)) => a == b,
        (Data::List(a), Data::List(b)) => {
            if a.kind() != b.kind() || a.is_nil() != b.is_nil() || a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !deep_equal_within(budget, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Data::Map(a), Data::Map(b)) => {
            if a.is_same(b) {
                return Ok(true);
            }
            let (left, right) = (a.read(), b.read());
            if a.kind() != b.kind() || left.len() != right.len() {
                return Ok(false);
            }
            for ((key_a, a), (key_b, b)) in left.iter().zip(right.iter()) {
                if key_a != key_b || !deep_equal_within(budget, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

//! `toYaml`, `fromYaml` and `tpl`: what Helm adds to Sprig.

mod emit;
mod read;
mod resolve;

use crate::function::{Args, Context, Fail, Function, Special, Type, function};
use crate::limits::Limit;
use crate::value::{Data, Entries, Map, MapKind, Value};

use Type::{Any, Str};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("toYaml", &[Any], to_yaml),
    function("fromYaml", &[Str], from_yaml),
    function("tpl", &[Str, Any], |_, _| Ok(Value::NO_VALUE)).special(Special::Tpl).own(),
];

fn to_yaml(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let max = context.budget.limits.value_bytes;
    match emit::emit(args.get(0), max) {
        Ok(text) => Ok(text.into()),
        Err(emit::Problem::TooLarge) => Err(Fail::Limit(Limit::Value)),
        // What JSON cannot express prints as nothing, as in Helm.
        Err(emit::Problem::NotJson) => Ok("".into()),
    }
}

/// A map; what is wrong with the text is put under the key `Error`, as in Helm.
fn from_yaml(context: &mut Context, args: &mut Args<'_>) -> Result<Value, Fail> {
    let text = args.str(0);
    context.budget.spend(text.len() / 8)?;
    let failed = |message: String| {
        let entries: Entries = [("Error".into(), message.into())].into_iter().collect();
        Ok(Map::new(MapKind::Any, entries).into())
    };
    match read::read(&text, &mut context.budget) {
        Ok(value) => match &value.data {
            Data::Map(_) => Ok(value),
            Data::Nil | Data::NoValue => Ok(Value::object()),
            _ => {
                let found = match &value.data {
                    Data::List(_) => "array",
                    Data::Str(_) => "string",
                    Data::Bool(_) => "bool",
                    _ => "number",
                };
                failed(format!(
                    "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} \
                     into Go value of type map[string]interface {{}}"
                ))
            }
        },
        Err(read::Problem::Limit(limit)) => Err(limit.into()),
        Err(read::Problem::Syntax(message)) => {
            failed(format!("error converting YAML to JSON: {message}"))
        }
    }
}

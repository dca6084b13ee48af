//! `humanitec/echo` (older name `humanitec/static`): inputs become outputs, unchanged.
//!
//! Secret inputs are passed on as references; they are never opened.

use std::collections::BTreeMap;

use downbeat_core::{Code, Json, Secret, patch::push_token};
use downbeat_engine::{DriverError, PureDriver, Request, Response, SecretOutput};

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl PureDriver for Echo {
    fn opens_secrets(&self) -> bool {
        false
    }

    fn compute(&self, request: &Request<'_>) -> Result<Response, DriverError> {
        passed_on(request)
    }
}

/// A response whose outputs are the inputs.
pub(crate) fn passed_on(request: &Request<'_>) -> Result<Response, DriverError> {
    let Json::Object(values) = request.values else {
        return Err(DriverError::new(Code::DriverInputs, "the driver inputs are not an object"));
    };
    let mut secrets = BTreeMap::new();
    for (at, expr) in request.secret_exprs {
        secrets.insert(at.clone(), SecretOutput::Expr(expr.clone()));
    }
    plain_leaves(request.secrets, &mut String::new(), &mut secrets);
    Ok(Response { values: values.clone(), secrets, ..Response::default() })
}

/// Secret inputs that refer to nothing (`{value: text}`) are secret outputs all the same.
fn plain_leaves(value: &Json, at: &mut String, secrets: &mut BTreeMap<String, SecretOutput>) {
    let length = at.len();
    match value {
        Json::Null => {}
        Json::Object(members) => {
            for (name, member) in members {
                push_token(at, name);
                plain_leaves(member, at, secrets);
                at.truncate(length);
            }
        }
        Json::String(text) => {
            secrets.insert(at.clone(), SecretOutput::Text(Secret::new(text.clone())));
        }
        other => {
            secrets.insert(at.clone(), SecretOutput::Text(Secret::new(other.to_string())));
        }
    }
}

//! `humanitec/echo` (older name `humanitec/static`): inputs become outputs, unchanged.
//!
//! Secret inputs are passed on as references; they are never opened.

use downbeat_core::{Code, Json};
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
    let secrets = request.secret_exprs.iter();
    Ok(Response {
        values: values.clone(),
        secrets: secrets.map(|(at, expr)| (at.clone(), SecretOutput::Expr(expr.clone()))).collect(),
        ..Response::default()
    })
}

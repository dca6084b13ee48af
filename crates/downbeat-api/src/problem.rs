//! The body of an error answer.

use downbeat_core::JsonMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an answer with an error status says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Short code, for example `API-404`.
    pub error: String,
    /// One line for people.
    pub message: String,
    /// More: `code`, `docs` (a page about the code), `hint`, and what belongs to the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<JsonMap>,
}

//! Is the server there?

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`; a server that is not answers with an error status or not at all.
    pub status: String,
    /// Version of the server.
    pub version: String,
}

//! The audit log.

use downbeat_core::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditLogEntry {
    /// When.
    pub at: Time,
    /// Id of the organization.
    pub org_id: String,
    /// Id of the user who asked for it; `system` for what the server did by itself.
    pub user_id: String,
    /// HTTP method.
    pub request_method: String,
    /// Path as it was sent, without the query.
    pub request_path: String,
    /// Status of the answer.
    pub response_status: u16,
    /// 1, 2, ... within the organization (an extension of v1, as is all that follows).
    pub number: i64,
    /// Id of the request, as the server's log and the header `X-Request-Id` have it; absent for
    /// what the server did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How the API showed the object before; absent when it was made. One that is left out because
    /// it is larger than 256 KiB, or was purged, is `{"sha256": …, "bytes": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub before: Option<Json>,
    /// How the API shows the object now; absent when it is gone. Left out as `before` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub after: Option<Json>,
    /// Hash over this entry and the one before, lower-case hex.
    pub hash: String,
}

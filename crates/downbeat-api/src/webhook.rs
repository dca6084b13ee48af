//! Webhooks of applications, and the events that trigger them.

use downbeat_core::JsonMap;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// What triggers a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trigger {
    /// What it happens to: `environment` or `deployment`.
    pub scope: String,
    /// What happens.
    pub r#type: String,
}

/// What shall trigger a webhook; both members are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggerRequest {
    /// What it happens to: `environment` or `deployment`.
    #[serde(default)]
    pub scope: String,
    /// What happens.
    #[serde(default)]
    pub r#type: String,
}

/// An event that can trigger webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What it happens to.
    pub scope: String,
    /// What happens.
    pub r#type: String,
    /// What a payload may say of it.
    pub properties: Vec<String>,
}

/// What a client says of a webhook. Absent members stay as they are, or are empty at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookRequest {
    /// Its id; one is chosen when none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the request goes: `https://`, which may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What triggers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub triggers: Option<Vec<TriggerRequest>>,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub headers: Option<JsonMap>,
    /// Body of the request; `null` for the default.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Option<JsonMap>>,
    /// Whether it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// `null` was said, too.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn said<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<JsonMap>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// What it does.
    #[serde(flatten)]
    pub body: WebhookBody,
    /// When it was entered.
    pub created_at: Time,
    /// Id of the user who entered it.
    pub created_by: String,
}

/// What a webhook does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookBody {
    /// Where the request goes, as it was sent.
    pub url: String,
    /// What triggers it.
    pub triggers: Vec<Trigger>,
    /// Headers of the request.
    #[schema(value_type = Object)]
    pub headers: JsonMap,
    /// Body of the request; `null` for the default.
    #[schema(value_type = Option<Object>, required = true)]
    pub payload: Option<JsonMap>,
    /// Whether it is switched off.
    pub disabled: bool,
}

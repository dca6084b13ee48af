//! Types of resource accounts, and what their credentials are made of (spec 01 section 10).
//!
//! Nobody here speaks to a cloud: credentials are given to drivers as they were entered, and no
//! role is taken on.

use serde_json::json;

use crate::{Json, JsonMap};

/// A type of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountType {
    /// Id, for example `aws-role`.
    pub id: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// What the credentials need to have.
    pub members: &'static [Member],
    /// What else is in them and opens nothing.
    pub open: &'static [&'static str],
}

/// A member of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Whether it says whose account it is, and opens nothing.
    pub is_identity: bool,
}

/// All types, by id.
#[must_use]
pub fn types() -> &'static [AccountType] {
    TYPES
}

/// The type of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static AccountType> {
    TYPES.iter().find(|known| known.id == id)
}

impl AccountType {
    /// JSON Schema of the credentials.
    #[must_use]
    pub fn schema(&self) -> JsonMap {
        let member = |member: &Member| {
            let schema = json!({"type": "string", "description": member.description});
            (member.name.to_owned(), schema)
        };
        let properties: JsonMap = self.members.iter().map(member).collect();
        let required: Vec<&str> = self.members.iter().map(|member| member.name).collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        schema.as_object().cloned().unwrap_or_default()
    }

    /// Whether a member of credentials opens nothing, and may stand anywhere.
    #[must_use]
    pub fn is_open(&self, name: &str) -> bool {
        let known = self.members.iter().find(|member| member.name == name);
        known.map_or_else(|| self.open.contains(&name), |member| member.is_identity)
    }

    /// Members that credentials lack, or that are not a text.
    #[must_use]
    pub fn missing(&self, credentials: &JsonMap) -> Vec<&'static str> {
        let is_there = |name: &str| {
            credentials.get(name).and_then(Json::as_str).is_some_and(|text| !text.is_empty())
        };
        self.members.iter().map(|member| member.name).filter(|name| !is_there(name)).collect()
    }

    /// What credentials say about whose account it is.
    #[must_use]
    pub fn identity(&self, credentials: &JsonMap) -> Vec<(&'static Member, String)> {
        let shown = |member: &'static Member| {
            let value = credentials.get(member.name)?.as_str()?;
            Some((member, value.chars().take(LONGEST).collect()))
        };
        self.members.iter().filter(|member| member.is_identity).filter_map(shown).collect()
    }
}

/// How much of a value is shown, in characters.
const LONGEST: usize = 500;

const fn shown(name: &'static str, description: &'static str) -> Member {
    Member { name, description, is_identity: true }
}

const fn hidden(name: &'static str, description: &'static str) -> Member {
    Member { name, description, is_identity: false }
}

const TYPES: &[AccountType] = &[
    AccountType {
        id: "aws",
        name: "AWS access key",
        members: &[
            hidden("aws_access_key_id", "Id of the access key"),
            hidden("aws_secret_access_key", "The access key"),
        ],
        open: &[],
    },
    AccountType {
        id: "aws-role",
        name: "AWS role",
        members: &[
            shown("aws_role", "ARN of the role"),
            hidden("external_id", "External id that the role asks for"),
        ],
        open: &[],
    },
    AccountType {
        id: "azure",
        name: "Azure service principal",
        members: &[
            shown("appId", "Id of the application"),
            hidden("password", "Password of the service principal"),
            shown("tenant", "Id of the tenant"),
        ],
        open: &["displayName"],
    },
    AccountType {
        id: "azure-identity",
        name: "Azure managed identity",
        members: &[
            shown("azure_identity_client_id", "Client id of the managed identity"),
            shown("azure_identity_tenant_id", "Id of the tenant"),
        ],
        open: &[],
    },
    AccountType {
        id: "gcp",
        name: "Google Cloud service account key",
        members: &[
            shown("client_email", "Address of the service account"),
            hidden("private_key", "The key"),
            shown("project_id", "Id of the project"),
        ],
        open: &[
            "auth_provider_x509_cert_url",
            "auth_uri",
            "client_id",
            "client_x509_cert_url",
            "token_uri",
            "type",
            "universe_domain",
        ],
    },
    AccountType {
        id: "gcp-identity",
        name: "Google Cloud workload identity",
        members: &[
            shown("gcp_audience", "Audience of the workload identity provider"),
            shown("gcp_service_account", "Address of the service account"),
        ],
        open: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_credentials_say() {
        let aws = find("aws-role").unwrap();
        let credentials = json!({"aws_role": "arn:aws:iam::1:role/x", "external_id": ""});
        let credentials = credentials.as_object().unwrap();
        assert_eq!(aws.missing(credentials), ["external_id"]);
        let identity = aws.identity(credentials);
        assert_eq!(identity.len(), 1);
        assert_eq!(identity[0].1, "arn:aws:iam::1:role/x");
        assert_eq!(aws.schema()["required"], json!(["aws_role", "external_id"]));
        assert!(find("acme").is_none());
    }
}

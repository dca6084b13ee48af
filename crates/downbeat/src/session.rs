//! A client for one command: of the configured server, or of one inside this process.

use std::net::{Ipv4Addr, SocketAddr};

use downbeat_api::client::Client;

use crate::{
    cli::{Connection, local_org},
    local::{self, Running, ServerOptions},
    report::Failure,
};

/// A client, and what it talks to.
pub(crate) struct Session {
    /// The client.
    pub(crate) client: Client,
    /// Organization.
    pub(crate) org: String,
    /// The server inside this process, if that is what it talks to.
    pub(crate) local: Option<Running>,
}

/// Environment variables of v1's tools, accepted beside our own.
fn v1(name: &str) -> Option<String> {
    std::env::var(format!("HUMANITEC_{name}")).ok().filter(|value| !value.is_empty())
}

impl Session {
    /// Connects, or starts a server.
    pub(crate) async fn open(connection: &Connection) -> Result<Self, Failure> {
        let org = connection.org.clone().or_else(|| v1("ORG"));
        let server = connection.server.clone().or_else(|| v1("API_PREFIX"));
        if let Some(server) = server {
            if !server.starts_with("http://") && !server.starts_with("https://") {
                return Err(Failure::usage(format!("--server {server}: expected a URL"))
                    .hint(format!("Did you mean http://{server} or https://{server}?")));
            }
            let token = connection.token.clone().or_else(|| v1("TOKEN"));
            let token = token.ok_or_else(|| {
                Failure::new("there is no token for the server")
                    .hint("Set DOWNBEAT_TOKEN or pass --token")
            })?;
            let client = Client::new(&server, Some(&token))?;
            let org = match org {
                Some(org) => org,
                None => only_organization(&client).await?,
            };
            return Ok(Self { client, org, local: None });
        }
        let org = org.unwrap_or_else(|| local_org().to_owned());
        let data = match &connection.data {
            Some(data) => data.clone(),
            None => local::default_data()?,
        };
        let options = ServerOptions {
            data,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            org: org.clone(),
            git_repository: None,
        };
        let running = local::start(&options).await?;
        Ok(Self { client: running.client()?, org, local: Some(running) })
    }

    /// Ends the server inside this process, if there is one.
    pub(crate) async fn close(self) {
        if let Some(running) = self.local {
            running.stop().await;
        }
    }
}

async fn only_organization(client: &Client) -> Result<String, Failure> {
    let known = client.organizations().await?;
    match known.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(Failure::new("the token gives access to no organization")),
        several => {
            let ids: Vec<&str> = several.iter().map(|one| one.id.as_str()).collect();
            Err(Failure::new(format!("the token gives access to {} organizations", ids.len()))
                .hint(format!("Choose one with --org: {}", ids.join(", "))))
        }
    }
}

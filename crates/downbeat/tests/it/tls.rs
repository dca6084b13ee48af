//! The API over TLS.

use std::{fs, path::PathBuf};

use reqwest::{Certificate, Client};

use crate::terminal::Terminal;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// A client that trusts one of the authorities only.
fn trusting(authority: &str) -> Client {
    let pem = fs::read(data(&format!("{authority}/authority.pem"))).unwrap();
    let certificate = Certificate::from_pem(&pem).unwrap();
    Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap()
}

/// Copies the certificate and key of an authority to where the server reads them.
fn install(terminal: &Terminal, authority: &str) {
    for file in ["server.key", "server.pem"] {
        fs::copy(data(&format!("{authority}/{file}")), terminal.path(file)).unwrap();
    }
}

const FILES: &str = "--tls-listen 0 --tls-certificate server.pem --tls-key server.key";

#[tokio::test]
async fn a_certificate_is_replaced_while_the_server_runs() {
    let terminal = Terminal::new();
    install(&terminal, "one");
    let serving = terminal.serve(FILES);
    let url = format!("{}/health", serving.word("with TLS").unwrap());
    assert_eq!(trusting("one").get(&url).send().await.unwrap().status(), 200);
    let mistrusted = trusting("two").get(&url).send().await.unwrap_err();
    assert!(format!("{mistrusted:?}").contains("UnknownIssuer"), "{mistrusted:?}");
    // The port without TLS is another one.
    let plain = format!("{}/health", serving.word("API").unwrap());
    assert_eq!(trusting("one").get(&plain).send().await.unwrap().status(), 200);
    assert!(trusting("one").get(plain.replace("http:", "https:")).send().await.is_err());

    // What cannot be used changes nothing.
    fs::write(terminal.path("server.pem"), "nothing").unwrap();
    assert_eq!(trusting("one").get(&url).send().await.unwrap().status(), 200);
    install(&terminal, "two");
    while trusting("two").get(&url).send().await.is_err() {}
    assert!(trusting("one").get(&url).send().await.is_err());
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_before_the_server_starts() {
    let terminal = Terminal::new();
    let refused = |told: &str| {
        let said = terminal.downbeat(&format!("serve --listen 0 {FILES}"));
        assert_eq!(said.code, 1);
        assert!(said.err.contains(told), "{}", said.err);
    };
    refused("cannot use server.pem: ");
    install(&terminal, "one");
    fs::copy(data("two/server.key"), terminal.path("server.key")).unwrap();
    refused("cannot use server.key: ");
    fs::write(terminal.path("server.pem"), "").unwrap();
    refused("cannot use server.pem: ");
    let said = terminal.downbeat("serve --tls-listen 8443");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--tls-certificate"), "{}", said.err);
}

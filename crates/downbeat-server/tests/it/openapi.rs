//! The document in the repository.

use downbeat_core::Json;
use downbeat_server::router;

#[test]
fn the_committed_document_is_what_the_code_says() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    let text = std::fs::read_to_string(file).unwrap();
    let kept: Json = serde_json::from_str(&text).unwrap();
    assert!(kept == router::document(), "run `cargo xtask openapi` and commit openapi.json");
}

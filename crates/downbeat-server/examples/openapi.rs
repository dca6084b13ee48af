//! Prints the OpenAPI document of the server. `cargo xtask openapi` writes it to `openapi.json`.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let document = downbeat_server::router::document();
    writeln!(io::stdout(), "{document}")
}

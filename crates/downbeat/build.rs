//! Compiles texts into the binary: every file of `starter/`, and every page of `docs/errors/`.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    include("../../starter", ".yaml", "starter_files.rs")?;
    include("../../docs/errors", ".md", "error_pages.rs")
}

/// Writes the list `FILES` of the names and texts of a folder's files, in order.
fn include(folder: &str, ending: &str, list: &str) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    let mut code = String::from("const FILES: &[(&str, &str)] = &[\n");
    for name in names {
        let path = folder.join(&name);
        println!("cargo::rerun-if-changed={}", path.display());
        code.push_str(&format!(
            "    ({name:?}, include_str!({:?})),\n",
            path.display().to_string()
        ));
    }
    code.push_str("];\n");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join(list), code)
}

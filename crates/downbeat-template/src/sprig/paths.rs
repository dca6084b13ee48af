//! Slash-separated paths, as Go's `path` package cuts them.

use crate::function::{Function, Type, function};

use Type::Str;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("base", &[Str], |_, args| Ok(base(&args.str(0)).into())),
    function("dir", &[Str], |_, args| Ok(dir(&args.str(0)).into())),
    function("clean", &[Str], |_, args| Ok(clean(&args.str(0)).into())),
    function("ext", &[Str], |_, args| Ok(ext(&args.str(0)).into())),
    function("isAbs", &[Str], |_, args| Ok(args.bytes(0).starts_with(b"/").into())),
    function("osBase", &[Str], |_, args| Ok(base(&args.str(0)).into())),
    function("osDir", &[Str], |_, args| Ok(dir(&args.str(0)).into())),
    function("osClean", &[Str], |_, args| Ok(clean(&args.str(0)).into())),
    function("osExt", &[Str], |_, args| Ok(ext(&args.str(0)).into())),
    function("osIsAbs", &[Str], |_, args| Ok(args.bytes(0).starts_with(b"/").into())),
];

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return "/";
    }
    path.rsplit('/').next().unwrap_or(path)
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or_default())
}

fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').and_then(|dot| name.get(dot..)).unwrap_or_default()
}

/// The shortest equal path: no `.`, no inner `..`, no doubled slashes.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

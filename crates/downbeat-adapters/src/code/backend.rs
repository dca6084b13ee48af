//! Where code keeps its state: with us, or where it says itself.
//!
//! Pure. Only the outline of a file is read: blocks and their names, with comments, texts and
//! heredocs skipped. What is not understood is left for the program to complain about.

use downbeat_core::{Json, Secret};
use serde_json::json;

/// The file that lets the program keep its state on a server of ours. Without a user and key here,
/// the program takes them from its environment.
pub(crate) fn our_backend(server: &str, guresid: &str, opens: Option<(&str, &Secret)>) -> String {
    let address = format!("{}/terraform/state/{guresid}", server.trim_end_matches('/'));
    let lock = format!("{address}/lock");
    let mut http = json!({
        "address": address,
        "lock_address": lock,
        "lock_method": "PUT",
        "unlock_address": lock,
        "unlock_method": "DELETE",
    });
    if let (Json::Object(http), Some((user, key))) = (&mut http, opens) {
        http.insert("username".to_owned(), Json::String(user.to_owned()));
        http.insert("password".to_owned(), Json::String(key.expose().to_owned()));
    }
    json!({ "terraform": { "backend": { "http": http } } }).to_string()
}

/// Whether a file of the root module has a `backend` or `cloud` block.
pub(crate) fn has_own_backend(name: &str, content: &str) -> bool {
    if name.ends_with(".json") { in_json(content) } else { in_code(content) }
}

/// `{"terraform": {"backend": …}}`, where each object may stand in a list.
fn in_json(content: &str) -> bool {
    fn members<'a>(value: &'a Json, names: &[&str]) -> Vec<&'a Json> {
        match value {
            Json::Array(items) => items.iter().flat_map(|item| members(item, names)).collect(),
            Json::Object(object) => names.iter().filter_map(|name| object.get(*name)).collect(),
            _ => Vec::new(),
        }
    }
    let Ok(document) = serde_json::from_str::<Json>(content) else { return false };
    let settings = members(&document, &["terraform"]);
    settings.into_iter().any(|settings| !members(settings, &["backend", "cloud"]).is_empty())
}

/// `terraform { backend "s3" { … } }`
fn in_code(content: &str) -> bool {
    let mut rest = Rest(content);
    // The words since the last `{`, `}` or line, and the names of the blocks that are open.
    let mut words: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    while let Some(token) = rest.next() {
        match token {
            Token::Word(word) => words.push(word),
            Token::Text => {}
            Token::Line => words.clear(),
            Token::Other => words.push(""),
            Token::Open => {
                let name = words.first().copied().unwrap_or_default();
                if matches!(name, "backend" | "cloud") && open == ["terraform"] {
                    return true;
                }
                open.push(name);
                words.clear();
            }
            Token::Close => {
                open.pop();
                words.clear();
            }
        }
    }
    false
}

enum Token<'a> {
    Word(&'a str),
    /// A text in quotes, or a heredoc.
    Text,
    Line,
    Open,
    Close,
    Other,
}

/// What was not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let text = self.0.trim_start_matches([' ', '\t', '\r', '\u{feff}']);
            let first = text.chars().next()?;
            if first == '#' || text.starts_with("//") {
                self.0 = text.get(text.find('\n').unwrap_or(text.len())..).unwrap_or_default();
                continue;
            }
            if let Some(comment) = text.strip_prefix("/*") {
                self.0 = comment.split_once("*/").map_or("", |(_, rest)| rest);
                continue;
            }
            if let Some(heredoc) = text.strip_prefix("<<") {
                self.0 = heredoc;
                self.skip_heredoc();
                return Some(Token::Text);
            }
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            if is_word(first) {
                let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
                let (word, rest) = text.split_at_checked(end)?;
                self.0 = rest;
                return Some(Token::Word(word));
            }
            self.0 = text.get(first.len_utf8()..).unwrap_or_default();
            return Some(match first {
                '"' => {
                    self.skip_text();
                    Token::Text
                }
                '\n' => Token::Line,
                '{' => Token::Open,
                '}' => Token::Close,
                _ => Token::Other,
            });
        }
    }

    /// Up to the closing quote; `${…}` and `%{…}` may hold texts of their own.
    fn skip_text(&mut self) {
        let mut braces: Vec<u32> = Vec::new();
        let mut text = self.0;
        loop {
            let mut chars = text.chars();
            let Some(first) = chars.next() else { break };
            text = chars.as_str();
            let in_text = braces.len().is_multiple_of(2);
            match first {
                '\\' if in_text => {
                    chars.next();
                    text = chars.as_str();
                }
                '"' if braces.is_empty() => break,
                '"' if in_text => {
                    braces.pop();
                }
                '$' | '%' if in_text && text.starts_with(first) => {
                    // `$${` is no placeholder.
                    text = text.get(1..).unwrap_or_default();
                    text = text.strip_prefix('{').unwrap_or(text);
                }
                '$' | '%' if in_text && text.starts_with('{') => {
                    text = text.get(1..).unwrap_or_default();
                    braces.push(0);
                }
                '"' => braces.push(0),
                '{' if !in_text => {
                    if let Some(depth) = braces.last_mut() {
                        *depth += 1;
                    }
                }
                '}' if !in_text => match braces.last_mut() {
                    Some(0) | None => {
                        braces.pop();
                    }
                    Some(depth) => *depth -= 1,
                },
                _ => {}
            }
        }
        self.0 = text;
    }

    /// From behind `<<` to the line that ends it.
    fn skip_heredoc(&mut self) {
        let text = self.0.strip_prefix('-').unwrap_or(self.0);
        let (word, mut rest) = text.split_once('\n').unwrap_or((text, ""));
        let word = word.trim();
        while !rest.is_empty() {
            let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = next;
            if line.trim() == word {
                break;
            }
        }
        self.0 = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::has_own_backend;

    #[test]
    fn finds_the_block_and_nothing_else() {
        for (expected, name, content) in [
            (true, "a.tf", "terraform {\n  backend \"s3\" {}\n}"),
            (true, "a.tf", "terraform { backend s3 {\n bucket = \"x\" } }"),
            (
                true,
                "a.tf",
                "terraform {\n required_providers { a = { source = \"x\" } }\n cloud {\n}\n}",
            ),
            (true, "a.tf", "/* { */ terraform /* x */ { # {\n // }\n backend \"http\" {\n}\n}"),
            (
                true,
                "a.tf",
                "locals { x = \"a ${\"}\"} {\"\n y = \"$${\" }\nterraform {\ncloud {}\n}",
            ),
            (
                true,
                "a.tf",
                "locals {\n x = <<-EOT\n  } } ${x}\n  EOT\n}\nterraform {\nbackend \"a\" {}\n}",
            ),
            (false, "a.tf", "terraform {\n  # backend \"s3\" {}\n}"),
            (false, "a.tf", "terraform {\n  required_version = \"backend {\"\n}"),
            (
                false,
                "a.tf",
                "variable \"backend\" {}\nresource \"x\" \"terraform\" {\n backend {}\n}",
            ),
            (false, "a.tf", "terraform {\n provider_meta \"x\" {\n cloud {}\n }\n}"),
            (false, "a.tf", "locals {\n x = <<EOT\nterraform {\nbackend \"s3\" {}\n}\nEOT\n}"),
            (false, "a.tf", "terraform { \"unclosed"),
            (false, "a.tf", "}}} backend {"),
            (true, "a.tf.json", "{\"terraform\": {\"backend\": {\"s3\": {}}}}"),
            (
                true,
                "a.tf.json",
                "{\"terraform\": [{\"required_version\": \"1\"}, {\"cloud\": [{}]}]}",
            ),
            (false, "a.tf.json", "{\"terraform\": {\"required_version\": \"1\"}, \"backend\": {}}"),
            (false, "a.tf.json", "{"),
        ] {
            assert_eq!(has_own_backend(name, content), expected, "{content}");
        }
    }
}

//! Plaintexts that must not stand in a message, and how they are taken out of one.
//!
//! Pure.

use downbeat_core::{Json, Secret};

/// Shorter texts occur by chance; they are not masked.
pub(super) const RECOGNISABLE: usize = 6;

/// Every plaintext in the forms in which a program repeats it, longest first.
pub(super) fn masked(secrets: &Json) -> Vec<Secret> {
    let mut found = Vec::new();
    texts(secrets, &mut found);
    let mut forms: Vec<String> = Vec::new();
    for text in found {
        // As part of a JSON document or of a quoted text, line by line, and as it is.
        let quoted = Json::String(text.clone()).to_string();
        forms.push(quoted.trim_matches('"').to_owned());
        forms.extend(text.lines().map(|line| line.trim().to_owned()));
        forms.push(text);
    }
    forms.retain(|form| form.len() >= RECOGNISABLE);
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms.into_iter().map(Secret::new).collect()
}

fn texts(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Null | Json::Bool(_) => {}
        Json::String(text) => {
            // A document is also known by its members.
            if let Ok(inner @ (Json::Object(_) | Json::Array(_))) = serde_json::from_str(text) {
                texts(&inner, found);
            }
            found.push(text.clone());
        }
        Json::Number(number) => found.push(number.to_string()),
        Json::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Json::Object(members) => members.values().for_each(|member| texts(member, found)),
    }
}

/// Takes plaintexts out of a text, also where the program broke them into lines.
pub(crate) fn mask(text: &str, masked: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in masked {
        text = text.replace(secret.expose(), "***");
        let words: Vec<&str> = secret.expose().split_whitespace().collect();
        if words.len() > 1 {
            text = mask_words(&text, &words);
        }
    }
    text
}

/// Takes words out of a text, wherever nothing but blanks and the program's frame is between them.
fn mask_words(text: &str, words: &[&str]) -> String {
    let Some((first, others)) = words.split_first() else { return text.to_owned() };
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(first) {
        let (before, found) = rest.split_at(at);
        let behind = found.get(first.len()..).unwrap_or_default();
        let end = others.iter().try_fold(behind, |rest, word| {
            rest.trim_start_matches(|c: char| c.is_whitespace() || c == '│').strip_prefix(word)
        });
        masked.push_str(before);
        masked.push_str(if end.is_some() { "***" } else { first });
        rest = end.unwrap_or(behind);
    }
    masked.push_str(rest);
    masked
}

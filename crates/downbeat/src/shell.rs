//! Commands that a user can copy.

use crate::cli::Connection;

/// The text as one word of a shell.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The flags that lead to the same server again. What comes from the environment is left out: it is
/// still there for the next command. So is the token: it does not belong on a screen.
pub(crate) fn flags(connection: &Connection) -> String {
    let data = connection.data.as_ref().map(|data| data.display().to_string());
    [
        ("--server", "DOWNBEAT_SERVER", connection.server.clone()),
        ("--org", "DOWNBEAT_ORG", connection.org.clone()),
        ("--data", "DOWNBEAT_DATA", data),
    ]
    .into_iter()
    .filter_map(|(flag, variable, value)| Some((flag, variable, value?)))
    .filter(|(_, variable, value)| std::env::var(variable).as_ref() != Ok(value))
    .map(|(flag, _, value)| format!(" {flag} {}", quote(&value)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_what_a_shell_would_read() {
        assert_eq!(quote("/a/b-c.yaml"), "/a/b-c.yaml");
        assert_eq!(quote("/my files/a"), "'/my files/a'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}

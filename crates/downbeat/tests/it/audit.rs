//! `downbeat audit verify` on a data directory that somebody tampered with.

use std::{fs, path::Path};

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::terminal::{Said, Terminal};

const DATA: &str = ".local/share/downbeat";

/// A data directory of an organization that environment types were added to.
fn used() -> Terminal {
    let terminal = Terminal::new();
    for id in ["one", "two", "three"] {
        create(&terminal, id);
    }
    terminal
}

fn create(terminal: &Terminal, id: &str) {
    let mut command = terminal.program();
    command.args(["api", "post", "/orgs/local/env-types", "-d"]);
    let done = command.arg(format!("{{\"id\": \"{id}\"}}")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Does what no part of the program does.
fn tamper(database: &Path, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", database.display());
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(statements)).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// The number of entries and the head, as `HASH@NUMBER`.
fn head(said: &Said) -> (i64, String) {
    let line = said.out.lines().find(|line| line.starts_with("local ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    (words[1].parse().unwrap(), words[3].to_owned())
}

#[test]
fn a_log_that_nobody_touched_is_sound() {
    let terminal = used();
    let (number, noted) = head(&terminal.ok("audit verify"));
    assert!(number > 3, "{number}");
    assert_eq!(noted.len(), 64 + 1 + number.to_string().len(), "{noted}");
    assert!(noted.ends_with(&format!("@{number}")), "{noted}");
    // Looking changes nothing.
    assert_eq!(head(&terminal.ok("audit verify")), (number, noted.clone()));

    // What was noted stays true while the log grows, and beside a running server.
    let serving = terminal.serve("");
    let said = terminal.ok(&format!("audit verify --head {noted}"));
    assert!(head(&said).0 > number);
    drop(serving);
    let hash = noted.split('@').next().unwrap();
    create(&terminal, "four");
    terminal.ok(&format!("audit verify --head {hash} --head {noted}"));

    // What was noted wrong.
    let said = terminal.downbeat(&format!("audit verify --head {hash}@1"));
    assert_eq!(said.code, 1);
    let told = format!("{hash} is entry {number} of the log of local, not entry 1");
    assert!(said.err.contains(&told), "{}", said.err);
    for head in ["x", "abc@1", &format!("{hash}@x")] {
        assert_eq!(terminal.downbeat(&format!("audit verify --head {head}")).code, 2);
    }
    let said = terminal.downbeat("audit verify --data nowhere");
    assert_eq!(said.code, 3);
    assert!(!terminal.path("nowhere").exists());
}

#[test]
fn each_way_to_tamper_with_an_entry_is_found() {
    let terminal = used();
    let (number, _) = head(&terminal.ok("audit verify"));
    let last = number.to_string();
    let source = terminal.path(DATA).join("downbeat.db");
    let check = |statements: &str, expected: &str| {
        let copy = terminal.path("copy");
        fs::create_dir_all(&copy).unwrap();
        for old in fs::read_dir(&copy).unwrap() {
            fs::remove_file(old.unwrap().path()).unwrap();
        }
        fs::copy(&source, copy.join("downbeat.db")).unwrap();
        let statements = statements.replace("LAST", &last);
        tamper(&copy.join("downbeat.db"), &statements);
        let said = terminal.downbeat("audit verify --data copy");
        assert_eq!(said.code, 1, "{statements}\n{}{}", said.out, said.err);
        let expected = format!("the log of local is broken: {}", expected.replace("LAST", &last));
        assert!(said.err.contains(&expected), "{statements}\n{expected}\n{}", said.err);
    };
    // Each column.
    for change in [
        "at = at + 1",
        "user_id = 'somebody'",
        "request_id = ''",
        "method = 'GET'",
        "path = path || '/'",
        "status = 200 + 65536",
        "status = 'ok'",
        "after = NULL",
        "before = '{}'",
        "after = replace(after, 'Acme', 'Emca') || ' '",
        "after = x'ff'",
        "after = '{\"sha256\": \"00\", \"bytes\": 1}'",
        "hash = upper(hash)",
        "hash = ''",
    ] {
        let statement = format!("UPDATE audit_entry SET {change} WHERE number = 5");
        check(&statement, "entry 5 is not what was written");
    }
    // To the log of another organization.
    check("UPDATE audit_entry SET org_id = 'other' WHERE number = 5", "entry 5 is missing");
    // The first, one in the middle, and the last.
    check("UPDATE audit_entry SET path = '' WHERE number = 1", "entry 1 is not what was written");
    check("UPDATE audit_entry SET path = '' WHERE number = LAST", "entry LAST is not what");
    // Taken out.
    check("DELETE FROM audit_entry WHERE number = 1", "entry 1 is missing");
    check("DELETE FROM audit_entry WHERE number = 7", "entry 7 is missing");
    check("DELETE FROM audit_entry WHERE number BETWEEN 7 AND 9", "entry 7 is missing");
    check("DELETE FROM audit_entry", "entry 1 is missing");
    let close = "UPDATE audit_entry SET number = -number WHERE number > 7; \
                 UPDATE audit_entry SET number = -number - 1 WHERE number < 0;";
    check(
        &format!("DELETE FROM audit_entry WHERE number = 7; {close}"),
        "entry 7 is not what was written",
    );
    // Put in another order.
    check(
        "UPDATE audit_entry SET number = 0 WHERE number = 7;
         UPDATE audit_entry SET number = 7 WHERE number = 8;
         UPDATE audit_entry SET number = 8 WHERE number = 0;",
        "entry 7 is not what was written",
    );
    // Put in.
    let forge = |number: &str| {
        format!(
            "INSERT INTO audit_entry SELECT org_id, {number}, at, user_id, request_id, method, path,
                 status, before, after, hash FROM audit_entry WHERE number = LAST"
        )
    };
    check(&forge("LAST + 1"), &format!("entry {} is not what", number + 1));
    check(&forge("0"), "entry 0 is not what was written");
    check(&forge("'x'"), &format!("entry {} is not what", number + 1));
}

#[test]
fn a_log_that_was_cut_off_is_found_with_a_noted_head() {
    let terminal = used();
    let (number, noted) = head(&terminal.ok("audit verify"));
    let cut = format!("DELETE FROM audit_entry WHERE number > {}", number - 4);
    tamper(&terminal.path(DATA).join("downbeat.db"), &cut);
    // The chain itself does not tell, and goes on.
    assert_eq!(head(&terminal.ok("audit verify")).0, number - 4);
    for id in ["four", "five", "six"] {
        create(&terminal, id);
    }
    assert!(head(&terminal.ok("audit verify")).0 > number);
    let said = terminal.downbeat(&format!("audit verify --head {noted}"));
    assert_eq!(said.code, 1);
    let hash = noted.split('@').next().unwrap();
    let told = format!("no entry has the hash {hash} (entry {number}): the end of the log was cut");
    assert!(said.err.contains(&told), "{}", said.err);
}

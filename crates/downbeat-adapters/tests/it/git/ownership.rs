//! Environments share a branch: none may write where the files of another are, or of anybody.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use downbeat_adapters::target::ToGit;
use downbeat_core::{Code, Json, JsonMap};
use downbeat_engine::{Delivery, Target as _, TargetError};

use super::world::{self, World, git};
use super::*;

/// An environment of another application.
const OTHER: &str = "acme/billing/prod";

fn by(owner: &str, change: Change) -> Change {
    Change { owner: owner.to_owned(), ..change }
}

/// The parts of a refusal: root, folder in the way, owner.
fn refused(result: Result<Committed, Error>) -> (String, String, Option<String>) {
    match result.unwrap_err() {
        error if error.is_transient() => panic!("{error}"),
        Error::Occupied { root, other_root, owner } => (root, other_root, owner),
        error => panic!("{error}"),
    }
}

fn occupied(root: &str, other: &str, owner: &str) -> (String, String, Option<String>) {
    (root.to_owned(), other.to_owned(), Some(owner.to_owned()))
}

fn unmarked(root: &str) -> (String, String, Option<String>) {
    (root.to_owned(), root.to_owned(), None)
}

#[tokio::test]
async fn a_root_says_whose_it_is() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let done = target.commit(&change(&remote, "e", "1", &[])).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 0, [0, 0, 0]));
    assert_eq!(
        git(&remote, &["show", "main:e/.downbeat"]),
        "acme/shop/dev\n\
         # This folder belongs to that environment, and each deployment replaces what is in it."
    );
    // A deployment without files is found again by its marker.
    let again = target.commit(&change(&remote, "e", "1", &[])).await.unwrap();
    assert_eq!(again, Committed { attempts: 0, ..done });
    // A first line and comments, however they are edited, are what counts.
    let work = world.clone_of(&remote);
    world::write(&work.join("e/.downbeat"), "# mine\r\n\r\n  acme/shop/dev \r\nacme/x/y\r\n");
    world.push_all(&work, "edited");
    target.commit(&change(&remote, "e", "2", &[("a", "1")])).await.unwrap();
    assert_eq!(world.list(&remote, "main"), ["e/.downbeat", "e/a"]);
    for owner in ["", " x", "a\nb", "# x", "a\u{202e}b", &"x".repeat(401)] {
        let error = target.commit(&by(owner, change(&remote, "f", "3", &[]))).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { what: "owner", .. }), "{error}");
    }
}

#[tokio::test]
async fn a_folder_of_another_environment_is_refused_at_above_and_below() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let theirs = by(OTHER, change(&remote, "environments/prod", "1", &[("a", "1"), ("d/b", "1")]));
    let before = target.commit(&theirs).await.unwrap();
    for (root, other) in [
        ("environments/prod", "environments/prod"),
        ("environments/prod/", "environments/prod"),
        ("environments/prod/mine", "environments/prod"),
        ("environments/prod/d", "environments/prod"),
        ("environments", "environments/prod"),
        ("", "environments/prod"),
        ("/", "environments/prod"),
    ] {
        let mine = change(&remote, root, "2", &[("x", "1")]);
        let root = root.trim_end_matches('/');
        assert_eq!(refused(target.commit(&mine).await), occupied(root, other, OTHER), "{root}");
        // Another cache, and another branch that begins at this one, make no difference.
        let mut elsewhere = mine;
        elsewhere.repository.branch = "new".to_owned();
        assert_eq!(refused(target.commit(&elsewhere).await), occupied(root, other, OTHER));
    }
    assert_eq!(git(&remote, &["for-each-ref", "--format=%(objectname)"]), before.commit);
    // Names that only begin alike are no reason.
    for root in ["environments/pro", "environments/prod2", "environments/dev", "environments*"] {
        target.commit(&change(&remote, root, root, &[("x", "1")])).await.unwrap();
    }
    // And the owner goes on, through the same cache.
    let next = by(OTHER, change(&remote, "environments/prod", "3", &[("a", "2")]));
    assert_eq!(summary(&target.commit(&next).await.unwrap()), (true, 1, 1, [0, 1, 1]));
}

#[tokio::test]
async fn an_owner_of_the_whole_branch_is_alone() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "", "1", &[("a", "1")])).await.unwrap();
    target.commit(&change(&remote, "", "2", &[("b", "1")])).await.unwrap();
    assert_eq!(world.list(&remote, "main"), [".downbeat", "b"]);
    for root in ["", "new", "new/deep"] {
        let theirs = by(OTHER, change(&remote, root, "3", &[("x", "1")]));
        assert_eq!(refused(target.commit(&theirs).await), occupied(root, "", "acme/shop/dev"));
    }
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn files_without_a_marker_are_somebodys() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let work = world.clone_of(&remote);
    world::write(&work.join("docs/read/me"), "theirs");
    // What only looks like a marker.
    world::write(&work.join("folder/.downbeat/f"), "acme/shop/dev\n");
    world::write(&work.join("empty/.downbeat"), "");
    world::write(&work.join("comment/.downbeat"), "# acme/shop/dev\n");
    world::write(&work.join("like/x.downbeat"), "acme/shop/dev\n");
    fs::create_dir(work.join("link")).unwrap();
    symlink("../like/x.downbeat", work.join("link/.downbeat")).unwrap();
    world.push_all(&work, "theirs");
    let roots = ["docs", "docs/read", "folder", "empty", "comment", "like", "link", ""];
    for root in roots {
        let refusal = refused(target.commit(&change(&remote, root, "1", &[("x", "1")])).await);
        assert_eq!(refusal, unmarked(root));
    }
    assert_eq!(git(&remote, &["log", "--format=%s", "main"]), "theirs");
    // Beside them is room; and who owns the files may give them away.
    target.commit(&change(&remote, "docs/mine", "2", &[("x", "1")])).await.unwrap();
    git(&work, &["pull", "--quiet", "origin", "main"]);
    world::write(&work.join("docs/read/.downbeat"), "acme/shop/dev\n");
    world.push_all(&work, "given");
    let done = target.commit(&change(&remote, "docs/read", "3", &[("x", "1")])).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 1, [1, 0, 1]));
}

#[tokio::test]
async fn a_branch_without_files_is_free() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let work = world.clone_of(&remote);
    git(&work, &["commit", "--quiet", "--allow-empty", "--message=empty"]);
    git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    target.commit(&change(&remote, "", "1", &[("a", "1")])).await.unwrap();
    assert_eq!(world.list(&remote, "main"), [".downbeat", "a"]);
}

#[tokio::test]
async fn an_environment_may_move_within_its_own() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "e", "1", &[("d/a", "1")])).await.unwrap();
    target.commit(&change(&remote, "e/d", "2", &[("b", "1")])).await.unwrap();
    assert_eq!(world.list(&remote, "main"), ["e/.downbeat", "e/d/.downbeat", "e/d/b"]);
    target.commit(&change(&remote, "e", "3", &[("c", "1")])).await.unwrap();
    assert_eq!(world.list(&remote, "main"), ["e/.downbeat", "e/c"]);
}

#[tokio::test]
async fn of_two_who_want_a_folder_at_once_one_gets_it() {
    let world = World::new();
    let remote = world.bare("remote");
    world.target().commit(&change(&remote, "other", "0", &[])).await.unwrap();
    let work = world.clone_of(&remote);
    world::write(&work.join("e/sub/.downbeat"), "acme/billing/prod\n");
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "--message=theirs"]);
    // Just before our push, theirs arrives.
    let rival = format!(
        "case \" $* \" in *' push '*) git -C {} push --quiet origin main;; esac",
        work.display()
    );
    let target = world.target_with(&world.recording(&rival));
    let result = target.commit(&change(&remote, "e", "1", &[("a", "1")])).await;
    assert_eq!(refused(result), occupied("e", "e/sub", OTHER));
    assert_eq!(git(&remote, &["log", "--format=%s", "main"]), "theirs\nDeploy 0");
}

#[tokio::test]
async fn a_deployment_that_is_there_is_found_whoever_has_the_folder_now() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let mine = change(&remote, "e", "1", &[("a", "1")]);
    let done = target.commit(&mine).await.unwrap();
    let work = world.clone_of(&remote);
    world::write(&work.join("e/.downbeat"), "acme/billing/prod\n");
    world.push_all(&work, "handed over");
    assert_eq!(target.commit(&mine).await.unwrap(), Committed { attempts: 0, ..done });
    let next = change(&remote, "e", "2", &[("a", "2")]);
    assert_eq!(refused(target.commit(&next).await), occupied("e", "e", OTHER));
}

#[tokio::test]
async fn a_refusal_says_what_is_in_the_way() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&by(OTHER, change(&remote, "e/prod", "1", &[("d/a", "1")]))).await.unwrap();
    let work = world.clone_of(&remote);
    world::write(&work.join("hostile/.downbeat"), "x\u{1b}[2J\u{202e}y\n");
    world::write(&work.join("docs/me"), "theirs\n");
    world.push_all(&work, "theirs");
    let mut said = String::new();
    for root in ["e/prod", "e/prod/d", "e", "", "docs", "hostile"] {
        let error = target.commit(&change(&remote, root, "2", &[])).await.unwrap_err();
        let error = error.to_string();
        let (first, rest) = error.split_once('\n').unwrap();
        assert_eq!(rest, "Nothing was changed there.");
        said.push_str(first);
        said.push('\n');
    }
    assert_eq!(
        said,
        "the folder \"e/prod\" of the repository cannot be used: it belongs to acme/billing/prod.\n\
         the folder \"e/prod/d\" of the repository cannot be used: it lies in the folder \
         \"e/prod\", which belongs to acme/billing/prod.\n\
         the folder \"e\" of the repository cannot be used: the folder \"e/prod\" in it belongs to \
         acme/billing/prod.\n\
         the whole branch of the repository cannot be used: the folder \"e/prod\" in it belongs to \
         acme/billing/prod.\n\
         the folder \"docs\" of the repository cannot be used: it holds files that no deployment \
         of this environment wrote.\n\
         the folder \"hostile\" of the repository cannot be used: it belongs to x[2Jy.\n"
    );
}

// ---- as the engine sees it --------------------------------------------------------------------

struct Environment<'a> {
    org: &'a str,
    app: &'a str,
    env: &'a str,
}

const DEV: Environment<'_> = Environment { org: "acme", app: "shop", env: "dev" };

async fn deliver(
    world: &World,
    remote: &Path,
    at: Environment<'_>,
    deployment: &str,
    path: Option<&str>,
) -> Result<(), TargetError> {
    let to = ToGit::new(Arc::new(world.target()), None);
    let mut cluster = JsonMap::new();
    cluster.insert("url".to_owned(), Json::from(remote.to_str().unwrap()));
    cluster.extend(path.map(|path| ("path".to_owned(), Json::from(path))));
    let delivery = Delivery {
        is_last: false,
        deployment,
        org: at.org,
        app: at.app,
        env: at.env,
        cluster: &cluster,
        credentials: &BTreeMap::new(),
        objects: &[],
        message: "Deploy",
        time: jiff::Timestamp::from_second(1_790_000_000).unwrap(),
    };
    to.deliver(&delivery).await.map(|_| ())
}

#[tokio::test]
async fn a_definition_cannot_aim_at_another_environment() {
    let world = World::new();
    let remote = world.bare("remote");
    deliver(&world, &remote, Environment { env: "prod", ..DEV }, "1", None).await.unwrap();
    let head = git(&remote, &["rev-parse", "main"]);
    assert!(git(&remote, &["show", "main:shop/prod/.downbeat"]).starts_with("acme/shop/prod\n"));
    for path in ["/", "shop", "shop/prod", "/shop/prod/", "shop/prod/sub"] {
        let error = deliver(&world, &remote, DEV, "2", Some(path)).await.unwrap_err();
        assert_eq!(error.code, Code::Target);
        assert!(error.message.contains("acme/shop/prod"), "{error}");
        let hint = error.hint.unwrap();
        assert_eq!(hint, "Give the environment's k8s-cluster definition another path");
        // Who is of another organization learns no name that they did not know.
        let stranger = Environment { org: "globex", ..DEV };
        let error = deliver(&world, &remote, stranger, "3", Some(path)).await.unwrap_err();
        assert!(error.message.contains("another organization"), "{error}");
        assert!(!error.message.contains("acme"), "{error}");
        assert!(path.contains("prod") || !error.message.contains("prod"), "{error}");
    }
    assert_eq!(git(&remote, &["rev-parse", "main"]), head);
    deliver(&world, &remote, DEV, "4", Some("shop/dev")).await.unwrap();

    let work = world.clone_of(&remote);
    world::write(&work.join("docs/me"), "theirs");
    world.push_all(&work, "theirs");
    let error = deliver(&world, &remote, DEV, "5", Some("docs")).await.unwrap_err();
    let hint = error.hint.unwrap();
    assert!(hint.contains("commit a file `.downbeat` with the line `acme/shop/dev`"), "{hint}");
}

#[tokio::test]
async fn a_message_is_cleaned_and_not_refused() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    for (n, (message, expected)) in [
        ("Deploy: a\0b\u{1b}[31m\tc\u{7f}\u{85}d", "Deploy: a b [31m c  d".to_owned()),
        ("Deploy\r\n\r\none\rtwo\u{2028}three", "Deploy\n\none two three".to_owned()),
        ("De\u{202e}pl\u{2066}oy\u{200f}\u{61c}", "Deploy".to_owned()),
        (&format!("Deploy {}", "ü".repeat(100_000)), format!("Deploy {}", "ü".repeat(2_044))),
    ]
    .into_iter()
    .enumerate()
    {
        let key = n.to_string();
        let mut change = change(&remote, "e", &key, &[("a", &key)]);
        change.message = message.to_owned();
        target.commit(&change).await.unwrap();
        let body = git(&remote, &["log", "-1", "--format=%B", "main"]);
        assert_eq!(body, format!("{expected}\n\nDownbeat-Deployment: {key}"));
        assert!(target.find(&change.repository, "e", &key).await.unwrap().is_some());
    }
    git(&remote, &["fsck", "--strict"]);
    for message in ["", "\n\nx", "\u{202e}", "\0\nx"] {
        let mut change = change(&remote, "e", "x", &[]);
        change.message = message.to_owned();
        let error = target.commit(&change).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { what: "commit message", .. }), "{error}");
    }
}

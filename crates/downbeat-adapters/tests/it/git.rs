//! The Git target against the real `git`: local remotes, `git http-backend`, a stand-in for `ssh`.

mod http;
mod ownership;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use downbeat_adapters::git::{
    Change, Committed, Credentials, Error, GitTarget, MINIMUM, Options, Protocol, Repository,
    Version,
};
use downbeat_core::secret::Secret;

use self::world::{World, files, git};

/// Whose the roots are.
const OWNER: &str = "acme/shop/dev";

/// The password that must appear nowhere.
const CANARY: &str = "canary+p4ss/w0rd%21";

fn change(url: impl AsRef<Path>, root: &str, key: &str, content: &[(&str, &str)]) -> Change {
    Change {
        repository: Repository::new(url.as_ref().to_str().unwrap()),
        root: root.to_owned(),
        owner: OWNER.to_owned(),
        files: files(content),
        leaves: false,
        message: format!("Deploy {key}\n\nMade by a test."),
        key: key.to_owned(),
        time: jiff::Timestamp::from_second(1_790_000_000).unwrap(),
    }
}

fn summary(done: &Committed) -> (bool, u32, usize, [usize; 3]) {
    (done.changed, done.attempts, done.files, [done.added, done.modified, done.removed])
}

#[tokio::test]
async fn first_commit_into_an_empty_repository() {
    let world = World::new();
    let remote = world.bare("remote");
    let change = change(&remote, "envs/dev", "dep_1", &[("a.yaml", "a: 1\n"), ("d/b.yaml", "")]);
    let done = world.target().commit(&change).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 2, [2, 0, 0]));
    assert_eq!(git(&remote, &["rev-parse", "main"]), done.commit);
    assert_eq!(
        world.list(&remote, "main"),
        ["envs/dev/.downbeat", "envs/dev/a.yaml", "envs/dev/d/b.yaml"]
    );
    assert_eq!(git(&remote, &["show", "main:envs/dev/a.yaml"]), "a: 1");
    assert_eq!(
        git(&remote, &["log", "--format=%an <%ae> %at %cn %ct%n%B", "main"]),
        "Downbeat <downbeat@localhost> 1790000000 Downbeat 1790000000\nDeploy dep_1\n\n\
         Made by a test.\n\nDownbeat-Deployment: dep_1"
    );
    git(&remote, &["fsck", "--strict"]);
}

#[tokio::test]
async fn one_changed_file_is_one_commit_with_that_change() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "e", "1", &[("a", "1"), ("b", "1")])).await.unwrap();
    let done = target.commit(&change(&remote, "e", "2", &[("a", "1"), ("b", "2")])).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 2, [0, 1, 0]));
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "2");
    assert_eq!(git(&remote, &["diff", "--name-status", "main~", "main"]), "M\te/b");
}

#[tokio::test]
async fn unchanged_files_make_no_commit_and_no_push() {
    let world = World::new();
    let remote = world.bare("remote");
    let target = world.target_with(&world.recording(""));
    let first = target.commit(&change(&remote, "e", "1", &[("a", "1")])).await.unwrap();
    let before = world.calls();
    let again = target.commit(&change(&remote, "e", "2", &[("a", "1")])).await.unwrap();
    assert_eq!(summary(&again), (false, 0, 1, [0, 0, 0]));
    assert_eq!(again.commit, first.commit);
    let calls = &world.calls()[before.len()..];
    assert!(!calls.iter().any(|call| call.contains(" push ") || call.contains(" fetch ")));
    // The rejected candidate does not confuse what follows.
    let next = target.commit(&change(&remote, "e", "3", &[("a", "2")])).await.unwrap();
    assert_eq!(summary(&next), (true, 1, 1, [0, 1, 0]));
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn files_that_are_gone_are_removed() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let content = [("a", "1"), ("d/b", "1"), ("d/c", "1")];
    target.commit(&change(&remote, "e", "1", &content)).await.unwrap();
    let done = target.commit(&change(&remote, "e", "2", &[("a", "1"), ("d", "x")])).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 2, [1, 0, 2]));
    assert_eq!(world.list(&remote, "main"), ["e/.downbeat", "e/a", "e/d"]);
    let done = target.commit(&change(&remote, "e", "3", &[])).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 0, [0, 0, 2]));
    assert_eq!(world.list(&remote, "main"), ["e/.downbeat"]);
}

#[tokio::test]
async fn everything_outside_the_root_is_untouched() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let work = world.clone_of(&remote);
    for (path, content) in [("README", "hi"), ("envs/prod/x", "p"), ("envs/development", "no")] {
        world::write(&work.join(path), content);
    }
    fs::set_permissions(work.join("README"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("README", work.join("link")).unwrap();
    world.push_all(&work, "theirs");
    let before = git(&remote, &["ls-tree", "-r", "main"]);
    target.commit(&change(&remote, "envs/dev/", "1", &[("a", "1")])).await.unwrap();
    let after = git(&remote, &["ls-tree", "-r", "main"]);
    let rest: Vec<_> = after.lines().filter(|line| !line.contains("envs/dev/")).collect();
    assert_eq!(rest, before.lines().collect::<Vec<_>>());
    assert_eq!(git(&remote, &["log", "--format=%s", "main"]), "Deploy 1\ntheirs");
}

#[tokio::test]
async fn the_empty_root_is_the_whole_tree() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "", "1", &[("a", "1"), ("d/b", "1")])).await.unwrap();
    let done = target.commit(&change(&remote, "", "2", &[("d/b", "2")])).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 1, [0, 1, 1]));
    assert_eq!(world.list(&remote, "main"), [".downbeat", "d/b"]);
    let found = target.find(&Repository::new(remote.to_str().unwrap()), "", "1").await.unwrap();
    assert_eq!(summary(&found.unwrap()), (true, 0, 2, [2, 0, 0]));
}

#[tokio::test]
async fn a_root_that_is_not_a_folder_is_refused() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "", "1", &[("a/f", "theirs")])).await.unwrap();
    for root in ["a/f", "a/f/deeper"] {
        let error = target.commit(&change(&remote, root, "2", &[("x", "1")])).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { .. }), "{error}");
        assert!(error.to_string().contains("\"a/f\" is not a folder"), "{error}");
    }
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "1");
}

#[tokio::test]
async fn a_missing_branch_begins_at_the_remote_head() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let base = target.commit(&change(&remote, "e", "1", &[("a", "1")])).await.unwrap();
    let mut next = change(&remote, "f", "1", &[("b", "1")]);
    next.repository.branch = "envs/new".to_owned();
    let done = target.commit(&next).await.unwrap();
    assert_eq!(git(&remote, &["rev-parse", "envs/new~"]), base.commit);
    assert_eq!(git(&remote, &["rev-parse", "main"]), base.commit);
    assert_eq!(world.list(&remote, "envs/new"), ["e/.downbeat", "e/a", "f/.downbeat", "f/b"]);
    // The same, when the files are already there: the branch is made without a commit.
    let mut same = change(&remote, "e", "9", &[("a", "1")]);
    same.repository.branch = "same".to_owned();
    let made = target.commit(&same).await.unwrap();
    assert_eq!(summary(&made), (false, 1, 1, [0, 0, 0]));
    assert_eq!(git(&remote, &["rev-parse", "same"]), base.commit);
    // A branch that was deleted gives way to one below its name.
    git(&remote, &["update-ref", "-d", "refs/heads/envs/new"]);
    next.repository.branch = "envs/new/deep".to_owned();
    let deep = target.commit(&next).await.unwrap();
    assert_eq!(deep.commit, done.commit);
}

#[tokio::test]
async fn a_competing_writer_between_fetch_and_push_loses_nothing() {
    let world = World::new();
    let remote = world.bare("remote");
    world.target().commit(&change(&remote, "e", "1", &[("a", "1")])).await.unwrap();
    let work = world.clone_of(&remote);
    world::write(&work.join("theirs"), "t");
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "--message=theirs"]);
    // Once, just before our push, theirs arrives.
    let rival = format!(
        "case \" $* \" in *' push '*) \
         if mkdir {0}/once 2>/dev/null; then git -C {1} push --quiet origin main; fi;; esac",
        world.path("").display(),
        work.display()
    );
    let target = world.target_with(&world.recording(&rival));
    let done = target.commit(&change(&remote, "e", "2", &[("a", "2")])).await.unwrap();
    assert_eq!(summary(&done), (true, 2, 1, [0, 1, 0]));
    assert_eq!(git(&remote, &["log", "--format=%s", "main"]), "Deploy 2\ntheirs\nDeploy 1");
    assert_eq!(world.list(&remote, "main"), ["e/.downbeat", "e/a", "theirs"]);
}

#[tokio::test]
async fn a_writer_who_always_wins_ends_in_a_conflict() {
    let world = World::new();
    let remote = world.bare("remote");
    world.target().commit(&change(&remote, "e", "1", &[("a", "1")])).await.unwrap();
    let rival = format!(
        "case \" $* \" in *' push '*) git --git-dir={0} -c user.name=r -c user.email=r@r \
         update-ref refs/heads/main $(git --git-dir={0} -c user.name=r -c user.email=r@r \
         commit-tree -p main -m rival 'main^{{tree}}');; esac",
        remote.display()
    );
    let mut options = world.options();
    options.program = world.recording(&rival);
    options.attempts = 3;
    let error = GitTarget::new(options)
        .commit(&change(&remote, "e", "2", &[("a", "2")]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Conflict { attempts: 3, .. }), "{error}");
    assert!(error.is_transient());
    assert_eq!(git(&remote, &["log", "--format=%s", "main"]), "rival\nrival\nrival\nDeploy 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rivals_with_and_without_a_shared_cache_all_land() {
    let world = World::new();
    let remote = world.bare("remote");
    let mut tasks = Vec::new();
    // Two share a cache and are kept apart by the file lock; the third races on the remote.
    for (writer, cache) in ["cache", "cache", "other"].into_iter().enumerate() {
        let target = Arc::new(GitTarget::new(Options::new(world.path(cache))));
        for turn in 0..5 {
            let (target, root) = (Arc::clone(&target), format!("w{writer}/{turn}"));
            let change = change(&remote, &root, &root, &[("a", &root)]);
            tasks.push(tokio::spawn(async move { target.commit(&change).await }));
        }
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(world.list(&remote, "main").len(), 30);
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "15");
}

#[tokio::test]
async fn a_protected_branch_says_why() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    world.hook(&remote, "pre-receive", "echo 'main is protected, ask Ana' >&2; exit 1");
    let change = change(&remote, "e", "1", &[("a", "1")]);
    let error = target.commit(&change).await.unwrap_err();
    let Error::Rejected { reason, branch, .. } = &error else { panic!("{error}") };
    assert_eq!(branch, "main");
    assert_eq!(reason, "main is protected, ask Ana\n[remote rejected] (pre-receive hook declined)");
    assert!(!error.is_transient());
    fs::remove_file(remote.join("hooks/pre-receive")).unwrap();
    assert!(target.commit(&change).await.unwrap().changed);
}

#[tokio::test]
async fn cut_off_before_the_push_a_repeat_makes_the_same_commit() {
    let world = World::new();
    let remote = world.bare("remote");
    let fifo = world.fifo("held");
    let stall = format!(
        "case \" $* \" in *' push '*) exec 9>{}; echo ready >&9; exec sleep 600;; esac",
        fifo.display()
    );
    let target = Arc::new(world.target_with(&world.recording(&stall)));
    let change = change(&remote, "e", "1", &[("a", "1")]);
    let task = tokio::spawn({
        let (target, change) = (Arc::clone(&target), change.clone());
        async move { target.commit(&change).await }
    });
    let mut reader = world::Lines::open(&fifo).await;
    assert_eq!(reader.next().await.as_deref(), Some("ready"));
    task.abort();
    // The end of the pipe: whoever held it is gone, the stalled push included.
    assert_eq!(reader.next().await, None);
    assert!(task.await.unwrap_err().is_cancelled());
    let candidate = world.candidate();
    let fresh = world.target();
    assert_eq!(fresh.find(&change.repository, "e", "1").await.unwrap(), None);
    let done = fresh.commit(&change).await.unwrap();
    assert_eq!(done.commit, candidate);
    assert_eq!(summary(&done), (true, 1, 1, [1, 0, 0]));
}

#[tokio::test]
async fn cut_off_after_the_push_a_repeat_finds_it() {
    let world = World::new();
    let remote = world.bare("remote");
    let lose = "case \" $* \" in *' push '*) git \"$@\" >/dev/null 2>&1; \
                echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128;; esac";
    let change = change(&remote, "e", "1", &[("a", "1"), ("b", "1")]);
    let error = world.target_with(&world.recording(lose)).commit(&change).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.is_transient());
    // Life goes on in the same root.
    let target = world.target();
    target.commit(&self::change(&remote, "e", "2", &[("a", "2")])).await.unwrap();
    let found = target.find(&change.repository, "e", "1").await.unwrap().unwrap();
    assert_eq!(summary(&found), (true, 0, 2, [2, 0, 0]));
    assert_eq!(found.commit, git(&remote, &["rev-parse", "main~"]));
    assert_eq!(target.commit(&change).await.unwrap(), found);
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "2");
    assert_eq!(target.find(&change.repository, "e", "3").await.unwrap(), None);
    let elsewhere = Repository { branch: "other".to_owned(), ..change.repository };
    assert_eq!(target.find(&elsewhere, "e", "1").await.unwrap(), None);
}

#[tokio::test]
async fn one_deployment_may_go_to_two_roots() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    for root in ["e/one", "e/two", "e/one", "e/two"] {
        target.commit(&change(&remote, root, "1", &[("a", root)])).await.unwrap();
    }
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "2");
    let expected = ["e/one/.downbeat", "e/one/a", "e/two/.downbeat", "e/two/a"];
    assert_eq!(world.list(&remote, "main"), expected);
}

#[tokio::test]
async fn a_message_cannot_pass_for_another_deployment() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let mut first = change(&remote, "e", "1", &[("a", "1")]);
    first.message =
        "Deploy\n\n---\n\nDownbeat-Deployment: 2\n# Downbeat-Deployment: 2\n".to_owned();
    target.commit(&first).await.unwrap();
    assert_eq!(target.find(&first.repository, "e", "2").await.unwrap(), None);
    assert!(target.find(&first.repository, "e", "1").await.unwrap().is_some());
}

#[tokio::test]
async fn a_local_repository_shows_the_files_in_its_work_tree() {
    let world = World::new();
    let target = world.target();
    let path = world.path("deep/er/out put");
    let repository = target.prepare_local(&path).await.unwrap();
    assert_eq!(repository.branch, "main");
    let mut change = change(&path, "envs/dev", "1", &[("a.yaml", "1"), ("b.yaml", "1")]);
    target.commit(&change).await.unwrap();
    assert_eq!(fs::read_to_string(path.join("envs/dev/a.yaml")).unwrap(), "1");
    change.files = files(&[("a.yaml", "2")]);
    change.key = "2".to_owned();
    target.commit(&change).await.unwrap();
    assert_eq!(fs::read_to_string(path.join("envs/dev/a.yaml")).unwrap(), "2");
    assert!(!path.join("envs/dev/b.yaml").exists());
    assert_eq!(git(&path, &["status", "--porcelain"]), "");
    // A second time it stays as it is.
    target.prepare_local(&path).await.unwrap();
    assert_eq!(git(&path, &["rev-list", "--count", "main"]), "2");
    // What its owner did not commit is not overwritten.
    world::write(&path.join("envs/dev/a.yaml"), "mine");
    change.files = files(&[("a.yaml", "3")]);
    change.key = "3".to_owned();
    let error = target.commit(&change).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert_eq!(fs::read_to_string(path.join("envs/dev/a.yaml")).unwrap(), "mine");
}

#[tokio::test]
async fn a_local_repository_is_made_only_where_nothing_is() {
    let world = World::new();
    let target = world.target();
    fs::create_dir(world.path("empty")).unwrap();
    target.prepare_local(&world.path("empty")).await.unwrap();
    assert!(world.path("empty/.git").is_dir());
    target.prepare_local(&world.bare("bare")).await.unwrap();
    assert!(!world.path("bare/.git").exists());
    world::write(&world.path("full/file"), "x");
    for path in [world.path("full"), world.path("full/file"), "relative".into(), "-x".into()] {
        let error = target.prepare_local(&path).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { .. }), "{error}");
    }
    let left: Vec<_> =
        fs::read_dir(world.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".")), "{left:?}");
    let pair = world.path("pair");
    let (one, two) = tokio::join!(target.prepare_local(&pair), target.prepare_local(&pair));
    assert!(one.is_ok() && two.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_two_hundred_environments_share_a_repository() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), Arc::new(world.target()));
    let start = Instant::now();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let root = format!("envs/e{n}");
            let content = [("app.yaml", &*root), ("svc.yaml", "s"), ("route.yaml", "r")];
            let (target, change) = (Arc::clone(&target), change(&remote, &root, &root, &content));
            tokio::spawn(async move { target.commit(&change).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(summary(&task.await.unwrap().unwrap()), (true, 1, 3, [3, 0, 0]));
    }
    let took = start.elapsed();
    println!("200 environments in {took:?}");
    assert_eq!(world.list(&remote, "main").len(), 800);
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "200");
    assert!(took < Duration::from_secs(120), "{took:?}");
}

#[tokio::test]
async fn a_thousand_files_take_a_few_processes() {
    let world = World::new();
    let remote = world.bare("remote");
    let target = world.target_with(&world.recording(""));
    let mut change = change(&remote, "e", "1", &[]);
    let content = |n: usize| format!("n: {n}\n").repeat(100).into_bytes();
    change.files = (0..1_000).map(|n| (format!("d{}/{n}.yaml", n % 7), content(n))).collect();
    let done = target.commit(&change).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 1_000, [1_000, 0, 0]));
    let calls = world.calls();
    assert!(calls.len() <= 9, "{calls:#?}");
    change.files.insert("d1/1.yaml".to_owned(), b"new".to_vec());
    change.key = "2".to_owned();
    let done = target.commit(&change).await.unwrap();
    assert_eq!(summary(&done), (true, 1, 1_000, [0, 1, 0]));
    assert_eq!(world.calls().len() - calls.len(), 6);
}

#[tokio::test]
async fn odd_file_names_survive() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let long = "x".repeat(255);
    let names = [
        " lead",
        "trail ",
        "-dash",
        "a\"quote\"",
        "it's",
        "ünï/😀.yaml",
        "sp ace/t",
        "$HOME",
        "*glob?[x]",
        "#hash",
        ":(top)magic",
        "...",
        "a..b",
        ".gitignore",
        ".github/x",
        "git",
        "data 3",
        &long,
        "%00",
        "~",
        "@{u}",
        ".gitx",
    ];
    let root = "ro\"ot/*/ü";
    let content: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    let done = target.commit(&change(&remote, root, "1", &content)).await.unwrap();
    assert_eq!(summary(&done), (true, 1, names.len(), [names.len(), 0, 0]));
    let mut expected: Vec<_> =
        names.iter().chain([&".downbeat"]).map(|name| format!("{root}/{name}")).collect();
    expected.sort();
    assert_eq!(world.list(&remote, "main"), expected);
    for name in names {
        assert_eq!(world::blob(&remote, &format!("main:{root}/{name}")), name.as_bytes());
    }
    let found = target.find(&Repository::new(remote.to_str().unwrap()), root, "1").await.unwrap();
    assert_eq!(summary(&found.unwrap()), (true, 0, names.len(), [names.len(), 0, 0]));
    let again = target.commit(&change(&remote, root, "2", &content)).await.unwrap();
    assert!(!again.changed);
}

#[tokio::test]
async fn any_bytes_survive() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let mut change = change(&remote, "e", "1", &[]);
    let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    change.files = BTreeMap::from([
        ("all".to_owned(), all.clone()),
        ("crlf".to_owned(), b"a\r\nb\r\n".to_vec()),
        ("stream".to_owned(), b"done\ndata 3\n".to_vec()),
        (".gitattributes".to_owned(), b"* text eol=lf\n".to_vec()),
    ]);
    target.commit(&change).await.unwrap();
    for (name, content) in &change.files {
        assert_eq!(&world::blob(&remote, &format!("main:e/{name}")), content);
    }
}

#[tokio::test]
async fn hostile_addresses_are_refused() {
    let world = World::new();
    // Refused before anything is started: what got through would miss this program.
    let target = world.target_with(&world.path("none"));
    let long = format!("https://h/{}", "x".repeat(3_000));
    for url in [
        "",
        "-oProxyCommand=x",
        "--upload-pack=x",
        "ext::sh -c x",
        "fd::3",
        "relative/path",
        "..",
        "ssh://-oProxyCommand=x/y",
        "ssh://u@-x/y",
        "-x@h:p",
        "u:p@h:p",
        "ssh://u:p@h/p",
        "h:-p",
        "https://user:pw@h/p",
        "https://token@h/p",
        "https:///p",
        "https://h/p?token=x",
        "h:",
        "https://h/p q",
        "https://h/p\n",
        "https://h:port/p",
        "https://h'$(x)/p",
        "ftp://h/p",
        "git://h/p",
        "HTTPS://h/p",
        "file://h/p",
        "file:relative",
        "https:h/p",
        "git@[::1]:p",
        "/p\0",
        "ssh://h",
        "https://[x]/p",
        &long,
    ] {
        let error = target.commit(&change(url, "e", "1", &[("a", "1")])).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { what: "repository URL", .. }), "{url}: {error}");
    }
    let mut options = world.options();
    options.protocols = vec![Protocol::Https, Protocol::Ssh];
    let strict = GitTarget::new(options);
    for url in ["/p", "file:///p", "http://h/p"] {
        let error = strict.commit(&change(url, "e", "1", &[])).await.unwrap_err();
        assert!(error.to_string().contains("not among the protocols"), "{error}");
    }
    assert!(!world.path("cache").exists());
    for url in [
        "https://h/p.git",
        "http://127.0.0.1:8080/p",
        "https://[::1]:8443/p",
        "ssh://git@h.example:22/p",
        "ssh://h/~u/p",
        "git@h.example:org/p.git",
        "h:p",
        "/a b/ü",
        "file:///p",
    ] {
        let error = target.commit(&change(url, "e", "1", &[("a", "1")])).await.unwrap_err();
        assert!(matches!(error, Error::GitMissing { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn hostile_names_are_refused() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    let long = "x/".repeat(600) + "x";
    let wide = "x".repeat(256);
    for name in [
        "",
        "/abs",
        "a//b",
        "a/",
        "..",
        "a/../b",
        ".",
        "./a",
        ".git/config",
        "a/.GIT/hooks/x",
        ".git",
        ".Git ",
        ".git...",
        ".git::$INDEX_ALLOCATION/x",
        "git~1/x",
        ".downbeat",
        "a/.downBeat",
        ".downbeat/x",
        ".g\u{200c}it/x",
        "a\nb",
        "a\0b",
        "a\tb",
        "a\\..\\b",
        "\u{7f}",
        &long,
        &wide,
    ] {
        let by_file = target.commit(&change(&remote, "e", "1", &[(name, "1")])).await.unwrap_err();
        assert!(
            matches!(by_file, Error::BadInput { what: "file name", .. }),
            "{name:?}: {by_file}"
        );
        if name.is_empty() || name == "a/" {
            continue;
        }
        let by_root = target.commit(&change(&remote, name, "1", &[("a", "1")])).await.unwrap_err();
        assert!(
            matches!(by_root, Error::BadInput { what: "root folder", .. }),
            "{name:?}: {by_root}"
        );
    }
    let both = change(&remote, "e", "1", &[("a", "1"), ("a.b", "1"), ("a/b", "1")]);
    let error = target.commit(&both).await.unwrap_err();
    assert!(error.to_string().contains("is a file and"), "{error}");
    for branch in [
        "",
        "-x",
        "a..b",
        "a b",
        "refs/heads/x",
        "HEAD",
        "a.lock",
        "a/.b",
        "x:y",
        "x^",
        "/",
        "@{1}",
    ] {
        let mut change = change(&remote, "e", "1", &[("a", "1")]);
        change.repository.branch = branch.to_owned();
        let error = target.commit(&change).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { what: "branch", .. }), "{branch}: {error}");
    }
    for (key, message) in [("", "m"), ("a b", "m"), ("a\nb", "m"), ("1", ""), ("1", "\n\nx")] {
        let mut change = change(&remote, "e", key, &[("a", "1")]);
        change.message = message.to_owned();
        let error = target.commit(&change).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { .. }), "{error}");
    }
    assert_eq!(git(&remote, &["for-each-ref"]), "");
}

#[tokio::test]
async fn credentials_of_the_wrong_kind_are_refused() {
    let world = World::new();
    let password = Credentials::Password { username: "u".to_owned(), password: secret(CANARY) };
    let broken = Credentials::Password { username: "u".to_owned(), password: secret("a\nb") };
    let key = Credentials::SshKey(secret(CANARY));
    for (url, credentials) in
        [("/p", &password), ("git@h:p", &password), ("https://h/p", &key), ("https://h/p", &broken)]
    {
        let mut change = change(url, "e", "1", &[]);
        change.repository.credentials = Some(credentials.clone());
        let error = world.target().commit(&change).await.unwrap_err();
        assert!(matches!(error, Error::BadInput { what: "credentials", .. }), "{error}");
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn password(username: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::Password { username: username.to_owned(), password: secret(password) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_with_credentials_that_nobody_sees() {
    let world = World::new();
    let remote = world.bare("remote");
    let server = http::Server::start(world.path(""), Some(format!("bot@corp:{CANARY}"))).await;
    let mut options = world.options();
    options.program = world.recording("");
    // What git starts in turn.
    let trace = world.path("trace.log");
    options.environment.insert("GIT_TRACE".to_owned(), trace.to_str().unwrap().to_owned());
    let target = GitTarget::new(options);
    let mut change = change(server.url("remote"), "e", "1", &[("a", "1")]);
    change.repository.credentials = password("bot@corp", CANARY);
    let done = target.commit(&change).await.unwrap();
    assert_eq!(git(&remote, &["rev-parse", "main"]), done.commit);
    change.files = (0..200).map(|n| (format!("{n}"), vec![b'x'; 20_000 + n])).collect();
    change.key = "2".to_owned();
    target.commit(&change).await.unwrap();
    assert_eq!(world.list(&remote, "main").len(), 201);

    // A remote that repeats it does not get it into a message.
    world.hook(&remote, "pre-receive", &format!("echo 'you said {CANARY}' >&2; exit 1"));
    change.key = "3".to_owned();
    change.files = files(&[("a", "3")]);
    let rejected = target.commit(&change).await.unwrap_err();
    assert!(matches!(rejected, Error::Rejected { .. }), "{rejected}");
    assert!(rejected.to_string().contains("you said ***"), "{rejected}");

    // Neither argument nor environment of any call, nor a file that stays.
    assert!(fs::read_to_string(&trace).unwrap().contains("git-remote-http"));
    world.assert_absent(CANARY);
    assert!(!format!("{rejected:?} {change:?} {target:?}").contains(CANARY));

    let wrong = "canary-wrong-password";
    change.repository.credentials = password("bot@corp", wrong);
    let error = target.commit(&change).await.unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(wrong));
    change.repository.credentials = None;
    let error = target.commit(&change).await.unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
    world.assert_absent(wrong);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_does_not_carry_the_credentials_to_another_host() {
    let world = World::new();
    world.bare("remote");
    let thief = http::Server::start(world.path(""), Some("nobody:nothing".to_owned())).await;
    let lure = http::Server::redirecting(thief.url("")).await;
    let mut change = change(lure.url("remote"), "e", "1", &[("a", "1")]);
    change.repository.credentials = password("bot", CANARY);
    let error = world.target().commit(&change).await.unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
    assert_eq!(thief.authorizations(), [""; 0]);
    assert!(thief.requests() > 0, "the redirect was followed, without them");
}

#[tokio::test]
async fn ssh_with_a_key_that_nobody_sees() {
    let world = World::new();
    let remote = world.bare("remote");
    let key = format!("-----BEGIN KEY-----\r\n{CANARY}\r\n-----END KEY-----");
    // Stands in for `ssh`: notes what it was given, then does what the far end would do.
    let ssh = format!(
        "printf '%s\\n' \"$*\" >> {0}/ssh.log\n\
         for word; do case $word in IdentityFile=*) file=${{word#*=}};; esac; last=$word; done\n\
         file=${{file#\\\"}}; file=${{file%\\\"}}\n\
         stat -c %a \"$file\" >> {0}/ssh.log; sha256sum < \"$file\" > {0}/key.sum\n\
         exec sh -c \"$last\"",
        world.path("").display()
    );
    world.script("bin/ssh", &ssh);
    let mut options = world.options();
    options.program = world.recording("");
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    options.environment.insert("PATH".to_owned(), path);
    let target = GitTarget::new(options);
    for (n, url) in [
        format!("git@host.example:{}", remote.display()),
        format!("ssh://git@host.example:22{}", remote.display()),
    ]
    .iter()
    .enumerate()
    {
        let mut change = change(url, "e", &n.to_string(), &[("a", &n.to_string())]);
        change.repository.credentials = Some(Credentials::SshKey(secret(&key)));
        target.commit(&change).await.unwrap();
    }
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "2");
    let log = fs::read_to_string(world.path("ssh.log")).unwrap();
    assert!(log.contains("StrictHostKeyChecking=accept-new") && log.contains("BatchMode=yes"));
    assert!(log.contains(&format!(
        "UserKnownHostsFile=\"{}\"",
        world.path("cache/known_hosts").display()
    )));
    assert!(log.lines().filter(|line| *line == "600").count() >= 4, "{log}");
    let expected = key.replace("\r\n", "\n") + "\n";
    assert_eq!(fs::read_to_string(world.path("key.sum")).unwrap(), world::sha256sum(&expected));
    world.assert_absent(CANARY);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_and_not_left_locked() {
    let world = World::new();
    let remote = world.bare("remote");
    let fifo = world.fifo("held");
    let hang = format!("exec 9>{}; echo ready >&9; sleep 600", fifo.display());
    world.hook(&remote, "update", &hang);
    let mut options = world.options();
    options.network_limit = Duration::from_millis(700);
    let target = GitTarget::new(options);
    let change = change(&remote, "e", "1", &[("a", "1")]);
    let (result, ()) = tokio::join!(target.commit(&change), async {
        let mut reader = world::Lines::open(&fifo).await;
        assert_eq!(reader.next().await.as_deref(), Some("ready"));
        assert_eq!(reader.next().await, None, "hook and all were stopped");
    });
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Timeout { step: "pushing to the repository", .. }), "{error}");
    fs::remove_file(remote.join("hooks/update")).unwrap();
    assert!(world.target().commit(&change).await.unwrap().changed);
}

#[tokio::test]
async fn a_caller_who_goes_takes_all_processes_along() {
    let world = World::new();
    let remote = world.bare("remote");
    let fifo = world.fifo("held");
    // A grandchild of the `git` we start.
    let hang = format!("exec 9>{}; echo ready >&9; sleep 60", fifo.display());
    world.hook(&remote, "update", &hang);
    let change = change(&remote, "e", "1", &[("a", "1")]);
    let task = tokio::spawn({
        let (target, change) = (world.target(), change.clone());
        async move { target.commit(&change).await }
    });
    let mut reader = world::Lines::open(&fifo).await;
    assert_eq!(reader.next().await.as_deref(), Some("ready"));
    task.abort();
    let end = tokio::time::timeout(Duration::from_secs(20), reader.next()).await;
    assert_eq!(end.expect("the hook still runs"), None);
    fs::remove_file(remote.join("hooks/update")).unwrap();
    assert!(world.target().commit(&change).await.unwrap().changed);
}

#[tokio::test]
async fn a_damaged_cache_is_made_anew() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "e", "1", &[("a", "1"), ("b", "b")])).await.unwrap();
    let mirror = world.mirror();
    let damages: [fn(&Path); 5] = [
        |mirror| fs::remove_dir_all(mirror.join("objects")).unwrap(),
        |mirror| world::each_file(&mirror.join("objects"), |file| world::write(file, "")),
        |mirror| world::each_file(&mirror.join("refs"), |file| world::write(file, "junk\n")),
        |mirror| {
            world::each_file(&mirror.join("refs"), |f| world::write(&f.with_extension("lock"), ""));
        },
        |mirror| fs::remove_file(mirror.join("HEAD")).unwrap(),
    ];
    for (n, damage) in damages.into_iter().enumerate() {
        damage(&mirror);
        let key = format!("n{n}");
        let done = target.commit(&change(&remote, "e", &key, &[("a", &key)])).await.unwrap();
        assert!(done.changed);
    }
    fs::remove_dir_all(mirror.join("objects")).unwrap();
    assert!(
        target.find(&Repository::new(remote.to_str().unwrap()), "e", "n0").await.unwrap().is_some()
    );
    git(&remote, &["fsck", "--strict"]);
    assert_eq!(git(&remote, &["rev-list", "--count", "main"]), "6");
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_removed() {
    let world = World::new();
    let (remote, target) = (world.bare("remote"), world.target());
    target.commit(&change(&remote, "e", "1", &[("a", "1")])).await.unwrap();
    let session = world.mirror().with_extension("session");
    assert!(!session.exists());
    world::write(&session.join("password"), CANARY);
    target.find(&Repository::new(remote.to_str().unwrap()), "e", "1").await.unwrap();
    assert!(!session.exists());
    assert_eq!(fs::metadata(world.path("cache")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn no_repository_is_unreachable() {
    let world = World::new();
    let error = world.target().commit(&change("/nowhere/at/all", "e", "1", &[])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let error =
        world.target().commit(&change("http://127.0.0.1:1/x", "e", "1", &[])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Check the address"), "{error}");
}

#[tokio::test]
async fn the_version_is_checked() {
    let world = World::new();
    let found = world.target().check_version().await.unwrap();
    assert!(found >= MINIMUM);
    let old = world.script("old", "echo 'git version 2.31.9.windows.1'");
    let error = world.target_with(&old).commit(&change("/x", "e", "1", &[])).await.unwrap_err();
    let expected = Version { major: 2, minor: 31, patch: 9 };
    assert!(matches!(error, Error::TooOld { found, .. } if found == expected), "{error}");
    let new = world.script("new", "echo 'git version 3.0 (Vendor 1)'");
    assert_eq!(world.target_with(&new).check_version().await.unwrap().to_string(), "3.0.0");
    for program in [world.path("none"), world.script("other", "echo hello")] {
        let error = world.target_with(&program).check_version().await.unwrap_err();
        assert!(matches!(error, Error::GitMissing { .. }), "{error}");
    }
}

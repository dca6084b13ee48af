//! What users do, from their terminal.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
};

use crate::terminal::{Terminal, repository};

const WEB: &str = "\
apiVersion: score.dev/v1b1
metadata: {name: web}
service: {ports: {http: {port: 80, targetPort: 8080}}}
containers:
  main:
    image: registry.example/web:1
    variables:
      DB: pg://${resources.db.username}:${resources.db.password}@${resources.db.host}/x
      LEVEL: info
resources:
  db: {type: postgres}
";

const WORKER: &str = "\
apiVersion: score.dev/v1b1
metadata: {name: worker}
containers:
  main: {image: 'registry.example/worker:1'}
resources:
  queue: {type: amqp}
";

const DEPLOY: &str = "deploy --app shop --env development";

fn shop() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("web.yaml", WEB);
    terminal.write("worker.yaml", WORKER);
    terminal.ok(&format!("{DEPLOY} web.yaml worker.yaml"));
    terminal
}

#[test]
fn the_first_command_of_the_readme() {
    let terminal = Terminal::new();
    let files = repository("examples/bookshop");
    let files: Vec<String> = fs::read_dir(files)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".score.yaml"))
        .collect();
    assert_eq!(files.len(), 3);
    let files = files.join(" ");
    let said =
        terminal.ok(&format!("deploy {files} --app bookshop --env development --env staging"));
    for step in ["read 3 workloads", "matched", "created postgres.default", "deployed"] {
        assert!(said.err.contains(step), "no step {step:?} in\n{}", said.err);
    }
    for part in ["Resource graph\nworkload", "Manifests", "Next\n"] {
        assert!(said.out.contains(part), "no {part:?} in\n{}", said.out);
    }
    assert_eq!(terminal.commits(), ["Deploy bookshop/staging", "Deploy bookshop/development"]);
    assert!(said.err.contains("environment staging of type staging"), "{}", said.err);
}

#[test]
fn a_change_of_one_workload_is_one_commit_with_only_that_change() {
    let terminal = shop();
    terminal.write("web.yaml", &WEB.replace("web:1", "web:2"));
    terminal.ok(&format!("{DEPLOY} web.yaml -m second"));
    assert_eq!(terminal.commits(), ["Deploy shop/development: second", "Deploy shop/development"]);
    assert_eq!(terminal.touched(), ["M workloads/web/deployment.yaml"]);
    assert!(terminal.git("show HEAD").contains("+        image: registry.example/web:2"));
}

#[test]
fn nothing_changes_when_nothing_has_changed() {
    let terminal = shop();
    let before = terminal.git("rev-parse HEAD");
    let said = terminal.ok(&format!("{DEPLOY} web.yaml worker.yaml"));
    assert!(said.err.contains("nothing has changed"), "{}", said.err);
    assert_eq!(terminal.git("rev-parse HEAD"), before);
}

#[test]
fn a_removed_workload_goes_and_what_it_needed_stays_until_it_is_deleted() {
    let terminal = shop();
    let is_database = |path: &String| path.starts_with("D resources/statefulset-");
    terminal.ok(&format!("{DEPLOY} --remove worker"));
    let touched = terminal.touched();
    assert!(touched.contains(&"D workloads/worker/deployment.yaml".to_owned()), "{touched:?}");
    assert!(!touched.iter().any(is_database), "{touched:?}");
    assert!(!touched.iter().any(|path| path.contains("web")), "{touched:?}");

    let resources = "/orgs/local/apps/shop/envs/development/resources";
    terminal.ok(&format!("api delete {resources}/amqp/modules.worker.externals.queue"));
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    let touched = terminal.touched();
    assert!(touched.iter().any(is_database), "{touched:?}");
    assert!(!touched.iter().any(|path| path.contains("web")), "{touched:?}");
}

#[test]
fn an_older_set_can_be_deployed_again() {
    let terminal = shop();
    let tree = terminal.git("rev-parse HEAD^{tree}");
    let deploys = "/orgs/local/apps/shop/envs/development/deploys";
    let first: serde_json::Value =
        serde_json::from_str(&terminal.ok(&format!("api get {deploys}")).out).unwrap();
    let set = first[0]["set_id"].as_str().unwrap().to_owned();
    terminal
        .write("web.yaml", &WEB.replace("web:1", "web:2").replace("LEVEL: info", "LEVEL: debug"));
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    assert_ne!(terminal.git("rev-parse HEAD^{tree}"), tree);
    terminal.ok(&format!("{DEPLOY} --set {set}"));
    assert_eq!(terminal.git("rev-parse HEAD^{tree}"), tree);
    assert_eq!(terminal.commits().len(), 3);
}

#[test]
fn an_environment_can_be_cloned_from_a_deployment_of_another() {
    let terminal = shop();
    terminal.ok("deploy --app shop --env staging --from development");
    let image = fs::read_to_string(
        terminal.manifests().join("environments/shop/staging/workloads/web/deployment.yaml"),
    )
    .unwrap();
    assert!(image.contains("registry.example/web:1"));
    // Resources are not copied: each environment has its own.
    let list = |env: &str| {
        let said = terminal.ok(&format!("api get /orgs/local/apps/shop/envs/{env}/resources"));
        let all: Vec<serde_json::Value> = serde_json::from_str(&said.out).unwrap();
        let id = |one: &serde_json::Value| one["gu_res_id"].as_str().unwrap().to_owned();
        all.iter().map(id).collect::<Vec<_>>()
    };
    let (development, staging) = (list("development"), list("staging"));
    assert_eq!(development.len(), staging.len());
    assert!(development.iter().all(|id| !staging.contains(id)));
}

#[test]
fn a_failed_deployment_leaves_the_last_good_state() {
    let terminal = shop();
    let before = terminal.git("rev-parse HEAD");
    terminal.write("web.yaml", &WEB.replace("resources.db.host", "resources.db.hots"));
    let said = terminal.downbeat(&format!("{DEPLOY} web.yaml"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-004 workload web"), "{}", said.err);
    assert!(said.err.contains("Did you mean \"host\"?"), "{}", said.err);
    assert!(said.err.contains("the last good state stands"), "{}", said.err);
    terminal.write("web.yaml", &WEB.replace("type: postgres", "type: snowflake-schema"));
    let said = terminal.downbeat(&format!("{DEPLOY} web.yaml"));
    assert!(said.err.contains("RES-001"), "{}", said.err);
    assert_eq!(terminal.git("rev-parse HEAD"), before);
    // The way back is to deploy what works.
    terminal.write("web.yaml", WEB);
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    assert_eq!(terminal.git("rev-parse HEAD"), before);
}

#[test]
fn definitions_are_taught_from_files() {
    let terminal = shop();
    terminal.write(
        "platform/pg.yaml",
        "\
apiVersion: entity.humanitec.io/v1b1
kind: Definition
metadata: {id: managed-pg}
entity:
  name: Managed PostgreSQL
  type: postgres
  driver_type: humanitec/echo
  driver_inputs:
    values: {host: pg.example, port: 5432, name: shop}
    secret_refs:
      username: {store: vault, ref: pg/user}
      password: {store: vault, ref: pg/password, version: '3'}
  criteria: [{app_id: shop}]
",
    );
    assert!(terminal.ok("apply -f platform").err.contains("created definition managed-pg"));
    assert!(terminal.ok("apply -f platform").err.contains("replaced definition managed-pg"));
    terminal.ok(&format!("{DEPLOY} web.yaml"));
    let touched = terminal.touched();
    assert!(
        touched.contains(&"M workloads/web/externalsecret-web-main-env.yaml".to_owned()),
        "{touched:?}"
    );
    let text = terminal.git("show HEAD");
    for part in
        ["+      key: pg/password", "+      version: \"3\"", "+    name: vault", "@pg.example/x"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let terminal = Terminal::new();
    terminal.write(
        "score.yaml",
        "\
apiVersion: score.dev/v1b1
metadata: {name: Web}
containers:
  main: {imagee: x}
servce: {}
resources:
  db: {typ: postgres}
",
    );
    let said = terminal.downbeat("check score.yaml");
    assert_eq!(said.code, 1);
    for place in ["score.yaml:2:18", "score.yaml:4:10", "score.yaml:5:1", "score.yaml:7:8"] {
        assert!(said.err.contains(place), "no {place} in\n{}", said.err);
    }
    for hint in ["did you mean `image`?", "did you mean `service`?", "did you mean `type`?"] {
        assert!(said.err.contains(hint), "no {hint} in\n{}", said.err);
    }
    assert!(terminal.downbeat("check nothing.yaml").code == 3);
    // A deployment of such a file does not even start a server.
    assert_eq!(terminal.downbeat(&format!("{DEPLOY} score.yaml")).code, 1);
    assert!(!terminal.path(".local").exists());
}

#[test]
fn rendering_needs_no_state_and_shows_no_secret() {
    let terminal = Terminal::new();
    terminal.write("web.yaml", WEB);
    let first = terminal.ok("render web.yaml");
    assert_eq!(first.out, terminal.ok("render web.yaml").out);
    assert!(first.out.contains("kind: Deployment"));
    assert!(first.out.contains("kind: ExternalSecret"));
    assert!(!terminal.path(".local").exists());
    let said = terminal.downbeat("render web.yaml --no-starter");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("RES-001"), "{}", said.err);
}

#[test]
fn generated_credentials_are_stable_and_never_in_clear() {
    let terminal = shop();
    terminal.ok(&format!("{DEPLOY} web.yaml worker.yaml"));
    let data = terminal.path(".local/share/downbeat");
    // What the store holds is sealed; the versions tell that nothing was made anew.
    let versions = terminal.git("grep -h version: HEAD");
    assert!(
        versions.contains("version: \"1\"") && !versions.contains("version: \"2\""),
        "{versions}"
    );
    let database = fs::read(data.join("downbeat.db")).unwrap();
    let wal = fs::read(data.join("downbeat.db-wal")).unwrap_or_default();
    let text = String::from_utf8_lossy(&[database, wal].concat()).into_owned();
    assert!(text.contains("orgs/local/resources/"), "the store is not where it is looked for");
    assert!(!text.contains("\"password\":\""), "a password stands in the database");
}

#[test]
fn two_processes_do_not_share_a_data_directory() {
    let terminal = shop();
    let lock = fs::File::open(terminal.path(".local/share/downbeat/lock")).unwrap();
    lock.lock().unwrap();
    let said = terminal.downbeat("api get /orgs");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is used by another process"), "{}", said.err);
}

#[test]
fn usage_errors_and_help() {
    let terminal = Terminal::new();
    assert_eq!(terminal.downbeat("deploy --app shop").code, 2);
    assert_eq!(terminal.downbeat("deploy --app shop --env dev").code, 2);
    assert_eq!(terminal.downbeat("api fetch /orgs").code, 2);
    let said = terminal.downbeat("api get /orgs --server localhost:8080 --token x");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("Did you mean http://localhost:8080"), "{}", said.err);
    let said = terminal.downbeat("serve --listen here");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("expected [HOST:]PORT"), "{}", said.err);
    for command in [
        "",
        "deploy",
        "history",
        "check",
        "render",
        "apply",
        "driver",
        "driver test",
        "serve",
        "token",
        "api",
        "explain",
    ] {
        let said = terminal.ok(&format!("{command} --help"));
        assert!(said.out.contains("Usage: downbeat"), "{}", said.out);
    }
}

#[test]
fn the_first_server_on_a_directory_prints_a_token() {
    let terminal = shop();
    let whoami = |server: &str, token: &str| {
        terminal.downbeat(&format!("api get current-user --server {server} --token {token}"))
    };
    let serving = terminal.serve("");
    let first = serving.word("DOWNBEAT_TOKEN=").expect("the first server prints one").to_owned();
    let url = serving.word("export DOWNBEAT_SERVER=").unwrap().to_owned();
    assert!(whoami(&url, &first).out.contains("\"admin\""));
    let said = terminal.downbeat("token");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is used by another process"), "{}", said.err);
    drop(serving);

    let again = terminal.serve("");
    assert_eq!(again.word("DOWNBEAT_TOKEN="), None, "{}", again.out);
    drop(again);

    let second = terminal.ok("token").out.trim().to_owned();
    let serving = terminal.serve("");
    let url = serving.word("API ").unwrap();
    assert_eq!(whoami(url, &second).code, 0);
    assert_eq!(whoami(url, &first).code, 1);
    assert_eq!(terminal.downbeat("token --data nowhere").code, 3);
}

#[test]
fn a_start_that_fails_sets_nothing_up() {
    let terminal = Terminal::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = terminal.downbeat(&format!("serve --listen {address}"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Choose another address with --listen"), "{}", said.err);
    assert!(!terminal.path(".local/share/downbeat/downbeat.db").exists());
    assert!(terminal.serve("").word("DOWNBEAT_TOKEN=").is_some());
}

#[test]
fn a_data_directory_that_cannot_be_used() {
    let terminal = Terminal::new();
    terminal.write("data/downbeat.db", "This is a text, and rather more than sixteen bytes of it.");
    let said = terminal.downbeat("api get /orgs --data data");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is not a database"), "{}", said.err);
    assert!(said.err.contains("--data"), "{}", said.err);
    terminal.write("file", "");
    let said = terminal.downbeat("api get /orgs --data file/data");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("the data directory file/data cannot be used"), "{}", said.err);
    terminal.ok("api get /orgs --data fresh");
    let mode = fs::metadata(terminal.path("fresh/downbeat.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_history_leads_back() {
    let terminal = shop();
    terminal.write("web.yaml", &WEB.replace("web:1", "web:2"));
    let said = terminal.ok(&format!("{DEPLOY} web.yaml -m second"));
    let history = terminal.ok("history --app shop --env development").out;
    let rows: Vec<Vec<&str>> =
        history.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{history}");
    assert_eq!(rows[0], ["DEPLOYMENT", "STATUS", "SET", "CREATED", "BY", "COMMENT"]);
    assert_eq!([rows[1][1], rows[1][4], rows[1][5]], ["succeeded", "admin", "second"]);
    let (first, set) = (rows[2][0], rows[2][2]);
    // The command to undo it is offered as a whole.
    let undo = said.out.lines().find(|line| line.contains("--set")).expect("an undo command");
    assert!(undo.contains(&format!("{DEPLOY} --set {set}")), "{undo}");
    for reference in [first, &set[..8], first.get(..12).unwrap()] {
        terminal.ok(&format!("{DEPLOY} --set {reference}"));
        assert!(terminal.git("show HEAD").contains("+        image: registry.example/web:1"));
        terminal.ok(&format!("{DEPLOY} web.yaml"));
    }
    let said = terminal.downbeat(&format!("{DEPLOY} --set ffffffffffffffffffff"));
    assert_eq!(said.code, 3);
    assert!(said.err.contains(&format!("The newest sets: {}", &rows[1][2])), "{}", said.err);
}

#[test]
fn names_are_checked_before_anything_is_created() {
    let terminal = shop();
    let check = |arguments: &str, code: i32, parts: &[&str]| {
        let said = terminal.downbeat(arguments);
        assert_eq!(said.code, code, "{arguments}\n{}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
        }
    };
    check(
        "deploy --app shopp --env staging --from development",
        3,
        &["no application \"shopp\"", "Did you mean \"shop\"?"],
    );
    check(
        "deploy --app shop --env staging --from develpment",
        3,
        &["no environment \"develpment\"", "Did you mean \"development\"?"],
    );
    check(&format!("{DEPLOY} --remove wrker"), 3, &["Did you mean \"worker\"?"]);
    check(&format!("{DEPLOY} --remove zebra"), 3, &["web, worker"]);
    check(&format!("{DEPLOY} web.yaml --remove web"), 2, &["describes this workload"]);
    check("deploy --app other --env development --set 0", 3, &["no application \"other\""]);
    let known = terminal.ok("api get orgs/local/apps").out;
    assert!(!known.contains("shopp") && !known.contains("other"), "{known}");
    assert!(!known.contains("staging"), "{known}");
}

#[test]
fn definition_files_are_read_as_a_whole_first() {
    let terminal = Terminal::new();
    let definition = |id: &str, rest: &str| {
        format!(
            "kind: Definition\nmetadata:\n  id: {id}\nentity:\n  type: postgres\n  \
             driver_type: humanitec/echo\n{rest}"
        )
    };
    terminal.write(
        "platform/a.yaml",
        &definition("first", "  criteria: [{app_id: shop}, {class: big}]\n"),
    );
    terminal.write("platform/b.yaml", &definition("second", "  driver_input: {}\n"));
    let said = terminal.downbeat("apply -f platform");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("platform/b.yaml:7:3: "), "{}", said.err);
    assert!(said.err.contains("did you mean \"driver_inputs\"?"), "{}", said.err);
    assert!(!said.err.contains("created"), "{}", said.err);

    terminal.write("platform/b.yaml", &definition("second", ""));
    let said = terminal.ok("apply -f platform");
    assert!(
        said.err.contains("platform/b.yaml:3: definition \"second\" has no criteria"),
        "{}",
        said.err
    );
    let first = "created definition first: postgres, class default, app shop; or class big\n";
    assert!(said.err.contains(first), "{}", said.err);
    assert!(
        said.err.contains("created definition second: postgres, never matches\n"),
        "{}",
        said.err
    );

    // What the server refuses has a place, too.
    terminal.write("platform/b.yaml", &definition("second!", "  criteria: [{class: big}]\n"));
    let said = terminal.downbeat("apply -f platform/b.yaml");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("platform/b.yaml:3: "), "{}", said.err);
}

#[test]
fn an_interrupted_deployment_is_finished_first() {
    let terminal = shop();
    let before = terminal.git("rev-parse HEAD");
    // A `git` that kills its parent once, just before it would push; then one that is slow there.
    let (path, home) = (std::env::var("PATH").unwrap(), terminal.path(""));
    let home = home.display();
    let git = format!(
        "#!/bin/sh\nPATH='{path}'\nfor word; do if [ \"$word\" = push ]; then\n  \
         if [ -e {home}/die ]; then rm {home}/die; kill -9 $PPID; exit 1; fi\n  \
         while [ -e {home}/hold ]; do sleep 0.01; done\nfi; done\nexec git \"$@\"\n"
    );
    let git = terminal.write("bin/git", &git);
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{path}", terminal.path("bin").display());
    let deploy = |file: &str| {
        let mut program = terminal.program();
        program.env("PATH", &path).args(DEPLOY.split_whitespace()).arg(file);
        program
    };
    terminal.write("web.yaml", &WEB.replace("web:1", "web:2"));
    terminal.write("die", "");
    deploy("web.yaml").output().unwrap();
    assert!(!terminal.path("die").exists());
    assert_eq!(terminal.git("rev-parse HEAD"), before);

    terminal.write("worker.yaml", &WORKER.replace("worker:1", "worker:2"));
    terminal.write("hold", "");
    let mut second = deploy("worker.yaml");
    let mut second = second.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut waited = false;
    for line in BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap) {
        if line.contains("waiting for deployment") {
            waited = true;
            fs::remove_file(terminal.path("hold")).unwrap();
        }
    }
    assert!(second.wait().unwrap().success());
    assert!(waited);
    assert_eq!(terminal.commits().len(), 3);
    assert_eq!(terminal.touched(), ["M workloads/worker/deployment.yaml"]);
}

#[test]
fn nobody_has_to_listen() {
    let terminal = shop();
    terminal.write("web.yaml", &WEB.replace("web:1", "web:2"));
    let mut program = terminal.program();
    program.args(DEPLOY.split_whitespace()).arg("web.yaml");
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(terminal.touched(), ["M workloads/web/deployment.yaml"]);
}

#[test]
fn warnings_are_counted() {
    let terminal = Terminal::new();
    let doubtful = WEB.replace("registry.example/web:1", ".").replace("postgres", "postgrs");
    terminal.write("web.yaml", &doubtful.replace("info", "${HOME} ${values.LEVEL}"));
    terminal.write("worker.yaml", WORKER);
    let said = terminal.ok("check web.yaml worker.yaml");
    for part in [
        "web.yaml:6:12",
        "pass it with --image",
        "`postgrs` is not a built-in resource type",
        "did you mean `postgres`?",
        "ok web.yaml, 2 warnings\n",
        "ok worker.yaml\n",
    ] {
        assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
    }
    assert!(said.err.ends_with("0 errors, 2 warnings\n"), "{}", said.err);
    terminal.write("worker.yaml", &WORKER.replace("containers", "contianers"));
    let said = terminal.downbeat("check web.yaml worker.yaml --image web:1");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("error: 1 error, 1 warning"), "{}", said.err);
}

#[test]
fn the_next_commands_can_be_copied() {
    let terminal = Terminal::new();
    terminal.write("web.yaml", WEB);
    let deploy = |env: &str| {
        let mut program = terminal.program();
        program.args(["deploy", "web.yaml", "--app", "shop", "--data", "my data", "--env", env]);
        crate::terminal::said(program.output().unwrap()).out
    };
    let out = deploy("staging");
    for part in [
        "ls '/",
        "downbeat api get /orgs/local/apps/shop/envs/staging/resources --data 'my data'\n",
        "--env production --env-type production --from staging --data 'my data'\n",
    ] {
        assert!(out.contains(part), "no {part:?} in\n{out}");
    }
    // The suggested command works, and then there is nothing more to suggest.
    let mut program = terminal.program();
    program.args("deploy --app shop --env production --env-type production".split(' '));
    program.args(["--from", "staging", "--data", "my data"]);
    let out = crate::terminal::said(program.output().unwrap()).out;
    assert!(out.contains("Next\n") && !out.contains("--from"), "{out}");

    let serving = terminal.serve("--data served");
    let (url, token) = (serving.word("API ").unwrap(), serving.word("DOWNBEAT_TOKEN=").unwrap());
    let to_server = format!("{DEPLOY} web.yaml --server {url} --token {token}");
    let said = terminal.downbeat(&to_server);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("Pass --create"), "{}", said.err);
    let out = terminal.ok(&format!("{to_server} --create")).out;
    assert!(out.contains(&format!("--create --server {url}\n")), "{out}");
    assert!(!out.contains("  ls ") && !out.contains(token), "{out}");
}

#[test]
fn shared_resources_are_described_once() {
    let terminal = Terminal::new();
    let shared = "type: postgres, id: main";
    terminal.write("web.yaml", &WEB.replace("type: postgres", shared));
    let other = format!("{{{shared}, params: {{size: 2}}}}");
    terminal.write("worker.yaml", &WORKER.replace("{type: amqp}", &other));
    for command in [DEPLOY, "render"] {
        let said = terminal.downbeat(&format!("{command} web.yaml worker.yaml"));
        assert_eq!(said.code, 1);
        assert!(said.err.contains("described differently"), "{}", said.err);
    }
    assert!(!terminal.path(".local").exists());
}

#[test]
fn errors_say_where_to_read_more() {
    let terminal = Terminal::new();
    let said = terminal.downbeat("api get /orgs/local/apps/none");
    assert_eq!(said.code, 3);
    for part in ["more: downbeat explain API-404, or https://", "docs/errors/API-404.md"] {
        assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
    }
    assert!(terminal.ok("explain res-001").out.starts_with("# RES-001"));
    let said = terminal.downbeat("explain RES-0001");
    assert_eq!(said.code, 3);
    assert!(said.err.contains("Did you mean \"RES-001\"?"), "{}", said.err);
}

#[test]
fn lost_keys_are_not_replaced() {
    let terminal = shop();
    fs::remove_file(terminal.path(".local/share/downbeat/keys")).unwrap();
    let said = terminal.downbeat("api get /orgs");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Restore the file `keys`"), "{}", said.err);
    assert!(!terminal.path(".local/share/downbeat/keys").exists());
}

#[test]
fn what_is_not_needed_is_kept_until_it_is_pruned() {
    let terminal = shop();
    terminal.ok(&format!("{DEPLOY} --remove worker"));
    let listed = terminal.ok("resources --app shop --env development").out;
    assert!(listed.contains("amqp.default#modules.worker.externals.queue"), "{listed}");
    let kept = fs::read_dir(terminal.manifests().join("environments/shop/development/resources"))
        .unwrap()
        .count();
    terminal.ok(&format!("{DEPLOY} web.yaml --prune"));
    let listed = terminal.ok("resources --app shop --env development").out;
    assert!(!listed.contains("amqp"), "{listed}");
    assert!(listed.contains("postgres.default#modules.web.externals.db  active"), "{listed}");
    let folder = terminal.manifests().join("environments/shop/development/resources");
    assert!(fs::read_dir(folder).unwrap().count() < kept);
}

#[test]
fn an_environment_and_an_application_are_deleted() {
    let terminal = shop();
    terminal.ok("deploy web.yaml --app shop --env staging");
    let asked = terminal.downbeat("delete --app shop --env staging");
    assert_eq!(asked.code, 1);
    for part in ["postgres.default#modules.web.externals.db", "nothing is deleted yet", "--yes"] {
        assert!(asked.err.contains(part), "no {part:?} in\n{}", asked.err);
    }
    let said = terminal.ok("delete --app shop --env staging --yes");
    assert!(said.err.contains("deleted environment staging"), "{}", said.err);
    let environments = terminal.manifests().join("environments/shop");
    assert!(!environments.join("staging").exists());
    assert!(environments.join("development").exists());
    assert_eq!(terminal.commits()[0], "Delete shop/staging");

    let refused = terminal.downbeat(
        "delete --app shop --env development --resource postgres#modules.web.externals.db --yes",
    );
    assert_eq!(refused.code, 4);
    assert!(refused.err.contains("part of the last deployment"), "{}", refused.err);
    terminal
        .ok("delete --app shop --env development --resource postgres#modules.web.externals.db \
         --force --reason moved --yes");
    terminal.ok("delete --app shop --yes");
    assert!(!environments.exists());
    let gone = terminal.downbeat("history --app shop --env development");
    assert!(gone.err.contains("there is no application"), "{}", gone.err);
}

//! What users do, from their terminal.

use std::fs;

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
    let said = terminal.ok(&format!("deploy {files} --app bookshop --env development"));
    for step in ["read 3 workloads", "matched", "created postgres.default", "deployed"] {
        assert!(said.err.contains(step), "no step {step:?} in\n{}", said.err);
    }
    for part in ["Resource graph\nworkload", "Manifests", "Next\n"] {
        assert!(said.out.contains(part), "no {part:?} in\n{}", said.out);
    }
    assert_eq!(terminal.commits(), ["Deploy bookshop/development"]);
    terminal.ok(&format!("deploy {files} --app bookshop --env staging"));
    assert_eq!(terminal.commits(), ["Deploy bookshop/staging", "Deploy bookshop/development"]);
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
fn a_removed_workload_goes_with_what_only_it_needed() {
    let terminal = shop();
    terminal.ok(&format!("{DEPLOY} --remove worker"));
    let touched = terminal.touched();
    assert!(touched.contains(&"D workloads/worker/deployment.yaml".to_owned()), "{touched:?}");
    assert!(touched.iter().any(|path| path.starts_with("D resources/statefulset-")), "{touched:?}");
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
    for command in ["", "deploy", "check", "render", "apply", "serve", "api"] {
        let said = terminal.ok(&format!("{command} --help"));
        assert!(said.out.contains("Usage: downbeat"), "{}", said.out);
    }
}

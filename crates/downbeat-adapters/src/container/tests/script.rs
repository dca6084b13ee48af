//! The run script with the real program, as an image would run it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use downbeat_core::Json;
use serde_json::json;

use super::{super::RUN_SCRIPT, Written, response, texts};

/// What a run left.
struct Ran {
    ok: bool,
    written: Written,
    error: String,
    log: String,
}

/// The shared directory of a pod.
struct Shared(tempfile::TempDir);

impl Shared {
    /// Nothing where there is no program to run.
    fn new() -> Option<Self> {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join("terraform").is_file())
        });
        let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(found || !is_ci, "there is no `terraform`");
        if !found {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".downbeat")).unwrap();
        fs::write(folder.path().join(".downbeat/run.sh"), RUN_SCRIPT).unwrap();
        Some(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, action: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = shell(&self.path(".downbeat/run.sh"));
        let ours = |name: &str| self.path(".downbeat").join(name);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path(""))
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .env("CHECKPOINT_DISABLE", "1")
            .env("DOWNBEAT_PROGRAM", "terraform")
            .env("ACTION", action)
            .env("SCRIPTS_DIRECTORY", self.path(""))
            .env("OUTPUTS_FILE", ours("outputs.json"))
            .env("SECRET_OUTPUTS_FILE", ours("secret-outputs.json"))
            .env("MANIFESTS_FILE", ours("manifests.json"))
            .env("ERROR_FILE", ours("error.txt"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, action: &str, environment: &[(&str, &str)]) -> Ran {
        let output = self.command(action, environment).output().unwrap();
        self.ran(output.status.success(), &[output.stdout, output.stderr].concat())
    }

    fn ran(&self, ok: bool, log: &[u8]) -> Ran {
        let read = |name: &str| fs::read(self.path(".downbeat").join(name)).unwrap_or_default();
        Ran {
            ok,
            written: Written {
                outputs: read("outputs.json"),
                secret_outputs: read("secret-outputs.json"),
                manifests: read("manifests.json"),
            },
            error: String::from_utf8(read("error.txt")).unwrap(),
            log: String::from_utf8_lossy(log).into_owned(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the script is what an image runs, not a driver")]
fn shell(script: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(script);
    command
}

const CODE: &str = r#"
variable "size" { default = 1 }
resource "terraform_data" "it" { input = var.size }
output "id" { value = terraform_data.it.id }
output "size" { value = terraform_data.it.output }
output "list" { value = ["a", true, { n = 1.5, none = null }] }
output "text" { value = "quotes \" and ${"$"}{x}\nlines" }
output "password" {
  value     = "s3cret-s3cret"
  sensitive = true
}
output "user" {
  value     = { name = "u", id = 7 }
  sensitive = true
}
"#;

#[test]
fn creates_updates_and_destroys() {
    let Some(shared) = Shared::new() else { return };
    shared.write("main.tf", CODE);
    let first = shared.run("create", &[]);
    assert!(first.ok, "{}", first.log);
    let made = response(&first.written).unwrap();
    assert_eq!(made.values["list"], json!(["a", true, {"n": 1.5, "none": null}]));
    assert_eq!(made.values["text"], "quotes \" and ${x}\nlines");
    let secrets = texts(&made);
    assert_eq!(secrets["/password"], "s3cret-s3cret");
    assert_eq!((&*secrets["/user/name"], &*secrets["/user/id"]), ("u", "7"));
    assert!(!first.log.contains("s3cret"), "{}", first.log);
    assert!(!String::from_utf8_lossy(&first.written.outputs).contains("s3cret"));

    // Again in the same folder, with what a definition may say to the program.
    shared.write("zz.auto.tfvars.json", r#"{"size": 2}"#);
    let again = shared.run("create", &[("TF_CLI_ARGS_apply", "-parallelism=2")]);
    assert!(again.ok, "{}", again.log);
    let updated = response(&again.written).unwrap();
    assert_eq!((&updated.values["id"], &updated.values["size"]), (&made.values["id"], &json!(2)));
    assert!(!shared.path(".downbeat/split").exists(), "secrets are left behind");

    let gone = shared.run("destroy", &[]);
    assert!(gone.ok, "{}", gone.log);
    let state = fs::read_to_string(shared.path("terraform.tfstate")).unwrap();
    let state: Json = serde_json::from_str(&state).unwrap();
    assert_eq!(state["resources"], json!([]));
}

#[test]
fn says_why_it_failed() {
    let Some(shared) = Shared::new() else { return };
    let code = "variable \"x\" { default = 1 }\nresource \"terraform_data\" \"it\" {\n  lifecycle {\n    \
        precondition {\n      condition     = var.x == 2\n      error_message = \"the sum is \
        wrong\"\n    }\n  }\n}\n";
    shared.write("main.tf", code);
    let failed = shared.run("create", &[]);
    assert!(!failed.ok && failed.written.outputs.is_empty());
    assert!(failed.error.starts_with("`terraform apply` failed:"), "{}", failed.error);
    assert!(failed.error.contains("the sum is wrong") && failed.log.contains("the sum is wrong"));
    shared.write("main.tf", "nonsense {");
    assert!(shared.run("create", &[]).error.starts_with("`terraform init` failed:"));
    assert_eq!(shared.run("dance", &[]).error, "the action dance is not known\n");
    let missing = shared.run("create", &[("DOWNBEAT_PROGRAM", "no-such-program")]);
    assert_eq!(missing.error, "the image has no program no-such-program\n");
}

#[test]
fn brings_manifests_and_no_outputs_at_all() {
    let Some(shared) = Shared::new() else { return };
    shared.write("main.tf", "");
    let empty = shared.run("create", &[]);
    assert!(empty.ok, "{}", empty.log);
    let made = response(&empty.written).unwrap();
    assert!(made.values.is_empty() && made.secrets.is_empty() && made.manifests.is_empty());

    let code = "output \"m\" {\n  value = [{ location = \"namespace\", data = { kind = \"A\" } }, { \
        location = \"cluster\", data = { kind = \"B\", spec = { n = 1 } } }]\n}\noutput \"x\" { \
        value = 1 }\n";
    shared.write("main.tf", code);
    let manifests = [("DOWNBEAT_MANIFESTS_OUTPUT", "m")];
    let made = shared.run("create", &manifests);
    assert!(made.ok, "{}", made.log);
    let made = response(&made.written).unwrap();
    assert_eq!(made.manifests[1].data, json!({"kind": "B", "spec": {"n": 1}}));
    assert_eq!(Json::Object(made.values), json!({"x": 1}));

    let missing = shared.run("create", &[("DOWNBEAT_MANIFESTS_OUTPUT", "n")]);
    assert_eq!(missing.error, "the code has no output n, which manifests_output names\n");
    shared.write("main.tf", &code.replace("output \"m\" {", "output \"m\" {\n  sensitive = true"));
    let secret = shared.run("create", &manifests);
    assert!(!secret.ok && secret.error.contains("is sensitive"), "{}", secret.error);
}

/// A pod that is stopped asks the shell to end; the program still saves what it made.
#[test]
fn the_program_saves_its_state_when_the_shell_is_asked_to_end() {
    let Some(shared) = Shared::new() else { return };
    let code = "resource \"terraform_data\" \"first\" {}\nresource \"terraform_data\" \"second\" {\n  \
        depends_on = [terraform_data.first]\n  provisioner \"local-exec\" {\n    command = \"touch \
        began; exec tail -f /dev/null\"\n  }\n}\n";
    shared.write("main.tf", code);
    let mut command = shared.command("create", &[]);
    let log = fs::File::create(shared.path("log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = command.spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(120);
    while !shared.path("began").exists() {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < limit);
        std::thread::yield_now();
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    let ran = shared.ran(status.success(), &fs::read(shared.path("log")).unwrap());
    assert!(!ran.ok && ran.error.contains("`terraform apply` failed:"), "{}", ran.log);
    let state = fs::read_to_string(shared.path("terraform.tfstate")).unwrap();
    assert!(state.contains("\"first\""), "{state}");
}

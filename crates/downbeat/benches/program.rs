//! The program as a user meets it: whole processes, each beside a floor in the same run.
//!
//! `cargo bench -p downbeat`. The floor is the same program doing nothing (`--version`); for
//! rendering it is also the cost for each workload at ten, which five hundred must not exceed by
//! much. Prints ratios and medians; asserts nothing.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Lines},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use downbeat_api::client::{Client, Method};
use downbeat_core::Json;
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_downbeat");

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let nothing = median(15, || run(&["--version".into()], folder.path()))?;
    println!("--version                      {nothing:>10.1?}");
    render(folder.path(), nothing)?;
    serve(folder.path(), nothing)?;
    deploy(folder.path())
}

/// Deployments of many nodes whose driver does nothing, each journalled; beside Terraform, which
/// keeps a state of as many resources that do nothing. `PEER=all` measures it for all sizes, which
/// takes minutes.
fn deploy(folder: &Path) -> Result<()> {
    let mut server = Server::start(&folder.join("many"))?;
    let token = after(&mut server.lines, "DOWNBEAT_TOKEN=")?;
    let client = Client::new(&server.url, Some(&token))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut first = 0.0;
    for nodes in [100, 1000, 3000] {
        let times = runtime.block_on(deploy_nodes(&client, nodes))?;
        let each = times.iter().map(Duration::as_secs_f64).fold(f64::MAX, f64::min) * 1e6
            / f64::from(nodes);
        if first == 0.0 {
            first = each;
        }
        let [new, again] = times;
        println!(
            "deploy {nodes:>4} nodes              {new:>10.1?}   again {again:.1?}   {each:.0} us \
             each, {:.2} of that at 100",
            each / first
        );
        let all = std::env::var_os("PEER").is_some_and(|peer| peer == "all");
        if nodes == 1000 || (all && nodes > 1000) {
            match terraform(folder, nodes) {
                Some(peer) => println!(
                    "terraform apply of {nodes:>4}       {peer:>10.1?}   {:.0} times as long",
                    peer.as_secs_f64() / new.as_secs_f64()
                ),
                None => println!("terraform apply             skipped, because it is not there"),
            }
        }
    }
    server.stop()
}

/// From the request to the end of a deployment of this many shared resources, and of the same again.
async fn deploy_nodes(client: &Client, nodes: i32) -> Result<[Duration; 2]> {
    let app = format!("app{nodes}");
    let orgs = "/orgs/local";
    let definition = json!({"id": "nothing", "name": "n", "type": "dns",
        "driver_type": "humanitec/echo", "driver_inputs": {"values": {"host": "${context.res.id}"}},
        "criteria": [{"class": "nothing"}]});
    let definitions = format!("{orgs}/resources/defs");
    let _ = client.send::<Json>(Method::POST, &definitions, Some(definition)).await;
    let new = json!({"id": app, "name": app});
    client.send::<Json>(Method::POST, &format!("{orgs}/apps"), Some(new)).await?;
    let shared: Vec<Json> = (0..nodes)
        .map(|number| {
            let value = json!({"type": "dns", "class": "nothing"});
            json!({"op": "add", "path": format!("/r{number}"), "value": value})
        })
        .collect();
    let delta = json!({"shared": shared});
    let delta: Json =
        client.send(Method::POST, &format!("{orgs}/apps/{app}/deltas"), Some(delta)).await?;
    let deploys = format!("{orgs}/apps/{app}/envs/development/deploys");
    let mut times = [Duration::ZERO; 2];
    for (time, body) in times.iter_mut().zip([json!({"delta_id": delta["id"]}), json!({})]) {
        let start = Instant::now();
        let made: Json = client.send(Method::POST, &deploys, Some(body)).await?;
        let one = format!("{deploys}/{}", made["id"].as_str().unwrap_or_default());
        loop {
            let deployment: Json = client.send(Method::GET, &one, None).await?;
            match deployment["status"].as_str() {
                Some("succeeded") => break,
                Some("failed") => return Err("the deployment failed".into()),
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
        *time = start.elapsed();
    }
    Ok(times)
}

/// How long Terraform takes for as many resources that do nothing.
fn terraform(folder: &Path, nodes: i32) -> Option<Duration> {
    let folder = folder.join(format!("terraform{nodes}"));
    fs::create_dir(&folder).ok()?;
    let resources: String = (0..nodes)
        .map(|number| format!("resource \"terraform_data\" \"r{number}\" {{ input = {number} }}\n"))
        .collect();
    fs::write(folder.join("main.tf"), resources).ok()?;
    let run = |arguments: &[&str]| {
        let status = Command::new("terraform")
            .args(arguments)
            .current_dir(&folder)
            .env("CHECKPOINT_DISABLE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(())
    };
    run(&["init", "-input=false"])?;
    let start = Instant::now();
    run(&["apply", "-auto-approve", "-input=false"])?;
    Some(start.elapsed())
}

fn median(runs: usize, mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::with_capacity(runs);
    work()?;
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed());
    }
    Ok(middle(times))
}

fn run(arguments: &[PathBuf], folder: &Path) -> Result<()> {
    let status = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("{arguments:?} failed").into()) }
}

/// Workloads with four resources each.
fn render(folder: &Path, nothing: Duration) -> Result<()> {
    let mut first = 0.0;
    for workloads in [10, 100, 500] {
        let mut arguments = vec![PathBuf::from("render")];
        for number in 0..workloads {
            let path = folder.join(format!("w{number}.yaml"));
            fs::write(&path, score(number))?;
            arguments.push(path);
        }
        let time = median(7, || run(&arguments, folder))?;
        let each = time.saturating_sub(nothing).as_secs_f64() * 1e6 / f64::from(workloads);
        if first == 0.0 {
            first = each;
        }
        println!(
            "render {workloads:>3} workloads           {time:>10.1?}   {each:>7.0} us each, {:.2} of that at 10",
            each / first
        );
    }
    Ok(())
}

fn score(number: i32) -> String {
    format!(
        "apiVersion: score.dev/v1b1
metadata: {{name: w{number}}}
service: {{ports: {{http: {{port: 80, targetPort: 8080}}}}}}
containers:
  main:
    image: registry.example/w:1
    variables:
      DB: \"pg://${{resources.db.username}}:${{resources.db.password}}@${{resources.db.host}}/x\"
      CACHE: ${{resources.cache.host}}
      HOST: ${{resources.dns.host}}
    livenessProbe: {{httpGet: {{path: /, port: 8080}}}}
resources:
  db: {{type: postgres}}
  cache: {{type: redis}}
  dns: {{type: dns}}
  home: {{type: route, params: {{host: \"${{resources.dns.host}}\", path: /, port: 80}}}}
"
    )
}

fn serve(folder: &Path, nothing: Duration) -> Result<()> {
    let mut first = Vec::new();
    let mut later = Vec::new();
    let (mut set_up, mut idle) = (Vec::new(), Vec::new());
    for number in 0..5 {
        let data = folder.join(format!("data{number}"));
        // The first start sets everything up.
        for (starts, sizes) in [(&mut first, &mut set_up), (&mut later, &mut idle)] {
            let start = Instant::now();
            let server = Server::start(&data)?;
            starts.push(server.ready.duration_since(start));
            sizes.push(resident_kb(server.child.id())?);
            server.stop()?;
        }
    }
    let (first, later) = (middle(first), middle(later));
    for (what, time) in [("first", first), ("later", later)] {
        println!(
            "serve, {what} start to ready    {time:>10.1?}   {:.1} times --version",
            time.as_secs_f64() / nothing.as_secs_f64()
        );
    }
    let [set_up, idle] = [set_up, idle].map(|sizes| middle(sizes) / 1024);
    println!("serve, resident when idle      {idle:>7} MB   {set_up} MB in a process that set up");
    Ok(())
}

fn middle<T: Copy + Default + Ord>(mut measured: Vec<T>) -> T {
    measured.sort();
    measured.get(measured.len() / 2).copied().unwrap_or_default()
}

struct Server {
    child: Child,
    ready: Instant,
    url: String,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(data: &Path) -> Result<Self> {
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .env("DOWNBEAT_LOG", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let address = after(&mut lines, "http://")?;
        TcpStream::connect(&address)?;
        let url = format!("http://{address}");
        Ok(Self { child, ready: Instant::now(), url, lines })
    }

    fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// What the first line that holds `mark` says after it.
fn after(lines: &mut Lines<BufReader<ChildStdout>>, mark: &str) -> Result<String> {
    for line in lines {
        if let Some((_, rest)) = line?.split_once(mark) {
            return Ok(rest.trim().to_owned());
        }
    }
    Err(format!("the server did not say {mark}").into())
}

fn resident_kb(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(number.parse()?)
}

//! The program as a user meets it: whole processes, each beside a floor in the same run.
//!
//! `cargo bench -p downbeat`. The floor is the same program doing nothing (`--version`); for
//! rendering it is also the cost for each workload at ten, which five hundred must not exceed by
//! much. Prints ratios and medians; asserts nothing.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark")]

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_downbeat");

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let nothing = median(15, || run(&["--version".into()], folder.path()))?;
    println!("--version                      {nothing:>10.1?}");
    render(folder.path(), nothing)?;
    serve(folder.path(), nothing)
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
    let mut idle = Vec::new();
    for number in 0..5 {
        let data = folder.join(format!("data{number}"));
        // The first start sets everything up.
        for starts in [&mut first, &mut later] {
            let start = Instant::now();
            let (mut server, ready) = start_server(&data)?;
            starts.push(ready.duration_since(start));
            idle.push(resident_kb(server.id())?);
            server.kill()?;
            server.wait()?;
        }
    }
    let (first, later, idle) = (middle(first), middle(later), middle(idle));
    for (what, time) in [("first", first), ("later", later)] {
        println!(
            "serve, {what} start to ready    {time:>10.1?}   {:.1} times --version",
            time.as_secs_f64() / nothing.as_secs_f64()
        );
    }
    println!("serve, resident when idle      {:>7} MB", idle / 1024);
    Ok(())
}

fn middle<T: Copy + Default + Ord>(mut measured: Vec<T>) -> T {
    measured.sort();
    measured.get(measured.len() / 2).copied().unwrap_or_default()
}

fn start_server(data: &Path) -> Result<(Child, Instant)> {
    let mut server = Command::new(PROGRAM)
        .arg("serve")
        .args(["--listen", "127.0.0.1:0"])
        .arg("--data")
        .arg(data)
        .env("DOWNBEAT_LOG", "error")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = server.stdout.take().ok_or("no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some((_, address)) = line.split_once("http://") {
            TcpStream::connect(address.trim())?;
            return Ok((server, Instant::now()));
        }
    }
    Err("the server did not say where it is".into())
}

fn resident_kb(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(number.parse()?)
}

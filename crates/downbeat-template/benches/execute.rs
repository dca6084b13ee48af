//! Parsing and executing one ordinary manifest template; `goldens/bench_test.go` does the same
//! with real Go, in the same run where `go` is on the path.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::disallowed_methods, reason = "the peer is another program")]

use std::{hint::black_box, path::Path, process::Command, time::Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use downbeat_template::{Options, Template, Value};

const TEMPLATE: &str = include_str!("manifest.tmpl");
const DATA: &str = include_str!("manifest.json");
/// How often something is done for one figure beside Go.
const ROUNDS: u32 = 20_000;

fn benchmark(criterion: &mut Criterion) {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(DATA) else { return };
    let data = Value::from(json);
    let options = Options::default();
    let Ok(template) = Template::parse("manifest", TEMPLATE) else { return };
    let parse = || Template::parse("manifest", black_box(TEMPLATE)).is_ok();
    let execute = || template.execute(black_box(&data), &options).is_ok();
    criterion.bench_function("parse", |bencher| bencher.iter(parse));
    criterion.bench_function("execute", |bencher| bencher.iter(execute));

    let Some(go) = go() else {
        println!("real Go: skipped, because `go test` does not run here");
        return;
    };
    for (what, own) in [("Parse", nanoseconds(parse)), ("Execute", nanoseconds(execute))] {
        let Some(peer) = figure(&go, what) else { continue };
        println!(
            "{what}: {:.1} us, real Go {:.1} us: {:.1} times as fast",
            own / 1000.0,
            peer / 1000.0,
            peer / own
        );
    }
}

/// Time of one call.
fn nanoseconds(work: impl Fn() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        assert!(work());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}

/// What Go's own benchmarks print; none without Go.
fn go() -> Option<String> {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens");
    let out =
        Command::new("go").args(["test", "-bench", "."]).current_dir(goldens).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The nanoseconds in a line such as `BenchmarkParse-2   12345   98765 ns/op`.
fn figure(printed: &str, what: &str) -> Option<f64> {
    let name = format!("Benchmark{what}");
    let line = printed.lines().find(|line| line.starts_with(&name))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

criterion_group!(benches, benchmark);
criterion_main!(benches);

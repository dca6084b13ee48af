//! Parsing and executing one ordinary manifest template; `goldens/bench_test.go` does the same
//! with real Go, so that the two can be compared.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use downbeat_template::{Options, Template, Value};

const TEMPLATE: &str = include_str!("manifest.tmpl");
const DATA: &str = include_str!("manifest.json");

fn benchmark(criterion: &mut Criterion) {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(DATA) else { return };
    let data = Value::from(json);
    let options = Options::default();
    let Ok(template) = Template::parse("manifest", TEMPLATE) else { return };
    criterion.bench_function("parse", |bencher| {
        bencher.iter(|| Template::parse("manifest", black_box(TEMPLATE)).is_ok());
    });
    criterion.bench_function("execute", |bencher| {
        bencher.iter(|| template.execute(black_box(&data), &options).is_ok());
    });
}

criterion_group!(benches, benchmark);
criterion_main!(benches);

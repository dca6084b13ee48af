//! One Score file of sixty lines: text to tree, text to diagnostics, text to module.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use downbeat_core::yaml::{self, Limits};
use downbeat_score::{NoFiles, Options, Source, check, convert};

const TEXT: &str = include_str!("../tests/data/sixty-lines.yaml");

fn parse(criterion: &mut Criterion) {
    let source = Source { name: "score.yaml", text: TEXT };
    let options = Options { image: Some("reg/web:1".to_owned()), ..Options::default() };
    let limits = Limits::default();
    assert!(check(&source, &options, &NoFiles).is_ok());
    criterion.bench_function("tree of 60 lines", |bencher| {
        bencher.iter(|| yaml::parse(black_box(TEXT), &limits));
    });
    criterion.bench_function("check 60 lines", |bencher| {
        bencher.iter(|| check(black_box(&source), &options, &NoFiles).diagnostics.len());
    });
    criterion.bench_function("convert 60 lines", |bencher| {
        bencher.iter(|| convert(black_box(&source), &options, &NoFiles));
    });
}

criterion_group!(benches, parse);
criterion_main!(benches);

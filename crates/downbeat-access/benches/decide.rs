//! How long a permission check takes, beside what Cedar needs for the same question.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use downbeat_access::{Action, Role, Roles, allows, why};

fn decide(criterion: &mut Criterion) {
    let roles = Roles::NONE.with(Role::Member).with(Role::Developer).with(Role::Deployer);
    let mut group = criterion.benchmark_group("permission");
    group.bench_function("check", |bencher| {
        bencher.iter(|| allows(black_box(roles), black_box(Action::Deploy)));
    });
    group.bench_function("cedar", |bencher| {
        bencher.iter(|| why(black_box(roles), black_box(Action::Deploy)));
    });
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);

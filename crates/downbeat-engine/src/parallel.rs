//! Pure work on all cores.

use std::{num::NonZero, thread};

/// Items below this number are not worth a second thread.
const PARALLEL_FROM: usize = 32;

/// Maps items on the available cores; the order of the results is the order of the items.
pub fn map<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if cores == 1 || items.len() < PARALLEL_FROM {
        return items.iter().map(map).collect();
    }
    let map = &map;
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(items.len().div_ceil(cores))
            .map(|chunk| scope.spawn(move || chunk.iter().map(map).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

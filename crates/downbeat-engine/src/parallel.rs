//! Pure work on all cores.

use std::{num::NonZero, thread};

/// Items below this number are not worth a second thread.
const PARALLEL_FROM: usize = 32;

/// Maps items on the available cores; the order of the results is the order of the items.
///
/// Called from a task of a runtime with several threads, it hands the other tasks of its thread
/// over first: requests and renewals go on meanwhile.
pub fn map<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    if !items.is_empty() && matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        tokio::task::block_in_place(|| on_all_cores(items, map))
    } else {
        on_all_cores(items, map)
    }
}

fn on_all_cores<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if cores == 1 || items.len() < PARALLEL_FROM {
        return items.iter().map(map).collect();
    }
    let map = &map;
    let mut chunks = items.chunks(items.len().div_ceil(cores));
    let first = chunks.next().unwrap_or_default();
    thread::scope(|scope| {
        let threads: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || chunk.iter().map(map).collect::<Vec<_>>()))
            .collect();
        // The first part is done here: one thread less to start, and its memory stays with this one.
        let mut results: Vec<R> = first.iter().map(map).collect();
        for thread in threads {
            match thread.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

//! Pure work on all cores.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Items below this number are not worth a second thread.
const PARALLEL_FROM: usize = 32;
/// Into how many blocks the work of one core is cut.
const BLOCKS_PER_CORE: usize = 16;

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
    // Small blocks, taken one after the other: neighbours are often equally expensive.
    let blocks: Vec<&[T]> = items.chunks(items.len().div_ceil(cores * BLOCKS_PER_CORE)).collect();
    let (next, map) = (AtomicUsize::new(0), &map);
    let work = || {
        let mut done: Vec<(usize, Vec<R>)> = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(block) = blocks.get(at)
        {
            done.push((at, block.iter().map(map).collect()));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let threads: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        // This thread works as well: one less to start.
        let mut done = work();
        for thread in threads {
            match thread.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

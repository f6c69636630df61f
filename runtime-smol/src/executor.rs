//! The executor that runs what nobody else runs: one background thread, started when first needed.

use async_executor::{Executor, Task};
use std::future::pending;
use std::sync::LazyLock;
use std::thread;

static EXECUTOR: LazyLock<&'static Executor<'static>> = LazyLock::new(|| {
    let executor: &'static Executor<'static> = Box::leak(Box::default());
    thread::Builder::new()
        .name("antiphon-smol".to_string())
        .spawn(move || {
            loop {
                // A task that panics takes only itself down: the loop goes on with the others.
                let run = || async_io::block_on(executor.run(pending::<()>()));
                let _ = std::panic::catch_unwind(run);
            }
        })
        .expect("the system has a thread to give");
    executor
});

/// Runs `future` on the background thread. Dropping the task cancels it; `detach` lets it go on.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    EXECUTOR.spawn(future)
}

/// Runs `future` to its end on this thread, and drives sockets and timers meanwhile.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    async_io::block_on(future)
}

//! The request that is being served, for what is recorded of it.

use std::future::Future;

tokio::task_local! {
    static ID: String;
}

/// Does what a request with this id asks for.
pub async fn within<T>(id: String, work: impl Future<Output = T>) -> T {
    ID.scope(id, work).await
}

/// The id of the request that is being served; `None` on the command line, in a schedule and in a worker.
#[must_use]
pub fn current() -> Option<String> {
    ID.try_with(Clone::clone).ok()
}

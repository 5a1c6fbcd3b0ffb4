//! What is logged while a test listens.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

/// What was logged while a test listened, on the test's own thread.
///
/// One subscriber for the whole process, because a callsite asks only once whether anybody listens, and a subscriber of one thread is
/// overlooked when another thread comes by first.
pub struct Log(());

thread_local! {
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.iter_mut().for_each(|heard| heard.extend_from_slice(bytes)));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Every line of every level that `work` logs.
    pub fn of<T>(work: impl FnOnce() -> T) -> (T, String) {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
            tracing::subscriber::set_global_default(subscriber.with_writer(|| Self(())).finish()).unwrap();
        });
        HEARD.set(Some(Vec::new()));
        let done = work();
        (done, String::from_utf8_lossy(&HEARD.take().unwrap()).into_owned())
    }
}

//! Log of a test.

use parking_lot::Mutex;
use std::io::{Result, Write};
use std::sync::Arc;
use tracing::Dispatch;

/// Log of the threads that have its dispatch.
#[derive(Clone, Default)]
pub(in crate::scrape) struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Returns a dispatch that writes this log, from the level INFO on.
    pub(in crate::scrape) fn dispatch(&self) -> Dispatch {
        let writer = self.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        subscriber.finish().into()
    }

    /// Returns the lines that contain a text.
    pub(in crate::scrape) fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

//! Lingering close: discards data that a client still sends after its response.
//!
//! The kernel resets a connection that is closed with unread data. The reset can arrive before the
//! client has read the response, and a sender retries after a reset. So after a response to a
//! request that was not read completely, the server discards the rest for a bounded time.
//!
//! | protocol | end of the response                      | discarded until                       |
//! |----------|------------------------------------------|---------------------------------------|
//! | HTTP/1.1 | `Connection: close`, end of sending side | the client closes the connection      |
//! | HTTP/2   | END_STREAM                               | END_STREAM or RST_STREAM of the client |
//!
//! Both end after the lingering timeout: a connection is closed, a stream is reset with NO_ERROR.
//!
//! # Memory
//! Discarding takes nothing from the byte budget. A connection discards into a buffer on the stack,
//! and its HTTP state is dropped before. A stream holds at most the bytes of its flow-control
//! window. The connection keeps its slot, and the stream counts against the limit of concurrent
//! streams.

use crate::metrics::registry::{Gauge, Registry};
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Size of the buffer for discarded bytes.
const DISCARD_BUFFER: usize = 16 << 10;
/// Maximum number of reads before the task yields, so that a fast client does not occupy a thread.
const READS_PER_POLL: usize = 32;

/// Stream of a connection that has to linger. The connection puts it here when it ends.
pub(crate) type UnreadStream<S> = Arc<Mutex<Option<S>>>;

/// Metrics of lingering; clones share the values.
#[derive(Debug, Clone, Default)]
pub(crate) struct LingeringMetrics {
    connections: Gauge,
    streams: Gauge,
}

impl LingeringMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        Self {
            connections: registry.gauge(
                "narthex_http_lingering_connections",
                "HTTP/1.1 connections whose client still sends after its response.",
            ),
            streams: registry.gauge(
                "narthex_http_lingering_streams",
                "HTTP/2 streams whose client still sends after its response.",
            ),
        }
    }
}

/// Time limit and metrics of lingering.
#[derive(Debug)]
pub(crate) struct Lingering {
    timeout: Duration,
    metrics: LingeringMetrics,
}

impl Lingering {
    pub(crate) fn new(timeout: Duration, metrics: LingeringMetrics) -> Self {
        Self { timeout, metrics }
    }

    /// Discards data of a connection until the client closes it or the timeout passes.
    pub(crate) async fn discard_stream(&self, mut stream: impl AsyncRead + Unpin) {
        let _lingering = LingeringGuard::new(&self.metrics.connections);
        let deadline = Instant::now() + self.timeout;
        let discarded =
            std::future::poll_fn(|cx| poll_discard(Pin::new(&mut stream), cx, deadline));
        // The timeout is for a silent client. `poll_discard` checks the deadline for one that
        // always has data, because a timer is polled only when no data is ready.
        let _ = tokio::time::timeout_at(deadline, discarded).await;
    }

    /// Spawns a task that discards the rest of a body until its end or the timeout. Reading the
    /// body extends the windows of stream and connection; dropping it resets the stream.
    pub(crate) fn discard_body<B>(self: &Arc<Self>, mut body: B)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        // Without a runtime the process is about to end.
        let Ok(runtime) = Handle::try_current() else { return };
        let lingering = self.clone();
        runtime.spawn(async move {
            let _lingering = LingeringGuard::new(&lingering.metrics.streams);
            let discarded = async {
                while matches!(body.frame().await, Some(Ok(_))) {
                    // Lets the timeout run although data is always ready.
                    tokio::task::consume_budget().await;
                }
            };
            let _ = tokio::time::timeout(lingering.timeout, discarded).await;
        });
    }
}

/// Becomes ready at the end of the stream, after an error, or at the deadline.
fn poll_discard<S: AsyncRead>(
    mut stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    deadline: Instant,
) -> Poll<()> {
    let mut bytes = [const { MaybeUninit::uninit() }; DISCARD_BUFFER];
    for _ in 0..READS_PER_POLL {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        let mut buffer = ReadBuf::uninit(&mut bytes);
        let read = ready!(stream.as_mut().poll_read(cx, &mut buffer));
        if read.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Counts a lingering connection or stream until it is dropped.
#[derive(Debug)]
struct LingeringGuard(Gauge);

impl LingeringGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for LingeringGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Lingering, LingeringMetrics};
    use crate::testing::channel_body::ChannelBody;
    use bytes::Bytes;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(600);

    /// Returns a limit with metrics of its own.
    pub(crate) fn lingering(timeout: Duration) -> Arc<Lingering> {
        Arc::new(Lingering::new(timeout, LingeringMetrics::default()))
    }

    impl Lingering {
        /// Returns the number of lingering connections and streams.
        pub(crate) fn counts(&self) -> (i64, i64) {
            (self.metrics.connections.get(), self.metrics.streams.get())
        }
    }

    /// Sender that writes to the stream until the other side is dropped.
    async fn flood(mut stream: impl tokio::io::AsyncWrite + Unpin) {
        while stream.write_all(&[0; 4096]).await.is_ok() {}
    }

    #[tokio::test]
    async fn stream_is_discarded_until_the_client_closes() {
        let (mut client, server) = tokio::io::duplex(64);
        let limit = lingering(LONG);
        let discarding = tokio::spawn({
            let limit = limit.clone();
            async move { limit.discard_stream(server).await }
        });
        client.write_all(&[0; 100_000]).await.unwrap();
        assert_eq!(limit.counts(), (1, 0));
        drop(client);
        discarding.await.unwrap();
        assert_eq!(limit.counts(), (0, 0));
    }

    #[tokio::test]
    async fn silent_client_is_cut_after_the_timeout() {
        let (_client, server) = tokio::io::duplex(64);
        let started = Instant::now();
        lingering(Duration::from_millis(50)).discard_stream(server).await;
        assert!(started.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn client_that_keeps_sending_is_cut_after_the_timeout() {
        let (client, server) = tokio::io::duplex(1 << 20);
        let flooding = tokio::spawn(flood(client));
        let started = Instant::now();
        lingering(Duration::from_millis(50)).discard_stream(server).await;
        assert!(started.elapsed() >= Duration::from_millis(50));
        flooding.await.unwrap();
    }

    #[tokio::test]
    async fn endless_source_does_not_outlast_the_timeout() {
        lingering(Duration::from_millis(50)).discard_stream(tokio::io::repeat(0)).await;
    }

    #[tokio::test]
    async fn body_is_discarded_until_its_end() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
        let limit = lingering(LONG);
        limit.discard_body(ChannelBody::from(receiver));
        for _ in 0..100 {
            sender.send(Ok(Bytes::from_static(b"data"))).await.unwrap();
        }
        assert_eq!(limit.counts(), (0, 1));
        drop(sender);
        while limit.counts() != (0, 0) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn body_that_does_not_end_is_dropped_after_the_timeout() {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
        let limit = lingering(Duration::from_millis(50));
        let started = Instant::now();
        limit.discard_body(ChannelBody::from(receiver));
        while sender.send(Ok(Bytes::from_static(b"data"))).await.is_ok() {}
        assert!(started.elapsed() >= Duration::from_millis(50));
        while limit.counts() != (0, 0) {
            tokio::task::yield_now().await;
        }
    }
}

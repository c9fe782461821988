//! Lists and watches of a resource, one after another.

use crate::discovery::kinds::kubernetes::api::client::{ClusterClient, PageRequest, WatchResponse};
use crate::discovery::kinds::kubernetes::api::error::{ApiError, StatusError};
use crate::discovery::kinds::kubernetes::api::scope::ObjectScope;
use crate::discovery::kinds::kubernetes::objects::list::{ListMeta, ListPage};
use crate::discovery::kinds::kubernetes::objects::resource::Resource;
use crate::discovery::kinds::kubernetes::watches::backoff::Backoff;
use crate::discovery::kinds::kubernetes::watches::event;
use crate::discovery::kinds::kubernetes::watches::event::WatchEvent;
use crate::discovery::kinds::kubernetes::watches::lines::{LineBuffer, LineTooLong};
use crate::discovery::kinds::kubernetes::watches::store::{Listed, ObjectStore, StoreError};
use crate::discovery::kinds::kubernetes::watches::times::{WatchTimes, random_fraction};
use crate::http_client::body_error::BodyError;
use crate::http_client::sent_secrets::SentSecrets;
use crate::log_limit::LogLimit;
use crate::metrics::registry::Counter;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Maximum numbers of objects of a page. The next one is used if a page is too large.
const PAGE_SIZES: [usize; 4] = [500, 50, 5, 1];
/// Maximum number of pages of a list.
const MAX_PAGES: usize = 20_000;
/// Maximum length of a version or of a token for a page, bytes.
const MAX_TOKEN: usize = 16 << 10;
/// Maximum length of a line of a watch, bytes. An object has at most about 1.5 MiB.
pub(super) const MAX_LINE_BYTES: usize = 8 << 20;

/// Follows the objects of a resource.
pub(super) struct Follower<T> {
    pub(super) client: Arc<ClusterClient>,
    pub(super) scope: ObjectScope,
    pub(super) store: Arc<ObjectStore<T>>,
    pub(super) times: WatchTimes,
    pub(super) backoff: Backoff,
    pub(super) failures: Counter,
    pub(super) errors: LogLimit,
    /// Position in [`PAGE_SIZES`].
    pub(super) page_size: usize,
}

/// Failure of a list or a watch.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    /// The request failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The body is no page of a list.
    #[error("invalid list: {0}")]
    Page(serde_json::Error),
    /// The line is no event.
    #[error("invalid event: {0}")]
    Event(serde_json::Error),
    /// The line is too long.
    #[error(transparent)]
    Line(#[from] LineTooLong),
    /// An object cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list has no version, or one that is too long.
    #[error("list has no valid version")]
    Version,
    /// The list has too many pages.
    #[error("list has more than {MAX_PAGES} pages")]
    Pages,
    /// The watch ended within a line.
    #[error("watch ended within a line")]
    Cut,
    /// The watch ended before anything happened.
    #[error("watch ended early")]
    Early,
    /// The process is shutting down, or parsing has panicked.
    #[error("cannot parse list: internal error")]
    Internal,
}

impl<T: Resource> Follower<T> {
    /// Follows the objects until the future is dropped.
    pub(super) async fn run(mut self) {
        let mut version = None;
        loop {
            let failed = match &mut version {
                None => self.list().await.map(|listed| version = Some(listed)),
                Some(version) => self.watch(version).await,
            };
            if let Err(failure) = failed {
                if failure.needs_list() {
                    version = None;
                }
                self.failed(&failure).await;
            }
        }
    }

    /// Replaces the objects by those of the server. Returns their version.
    async fn list(&mut self) -> Result<String, FollowError> {
        let mut listed = self.store.start_list();
        let mut first: Option<ListMeta> = None;
        let mut token = String::new();
        let mut limit = PAGE_SIZES[self.page_size];
        for _ in 0..MAX_PAGES {
            let request = PageRequest { limit, token: &token };
            let body = match self.client.list(T::PATH, &self.scope, request).await {
                // The list took longer than the server keeps it: once more, in one page.
                Err(ApiError::Status(status)) if status.is_gone() && !token.is_empty() => {
                    (listed, first, limit) = (self.store.start_list(), None, 0);
                    token.clear();
                    continue;
                }
                Err(ApiError::Body(BodyError::TooLarge { .. }))
                    if self.page_size + 1 < PAGE_SIZES.len() =>
                {
                    self.page_size += 1;
                    limit = PAGE_SIZES[self.page_size];
                    continue;
                }
                body => body?,
            };
            let meta;
            (listed, meta) = blocking(move || add_page(listed, &body)).await??;
            token.clone_from(&meta.next);
            let is_last = token.is_empty();
            let version = &first.get_or_insert(meta).resource_version;
            if version.is_empty() || version.len().max(token.len()) > MAX_TOKEN {
                return Err(FollowError::Version);
            }
            if is_last {
                let (version, store) = (version.clone(), Arc::clone(&self.store));
                blocking(move || store.replace(listed)).await?;
                return Ok(version);
            }
        }
        Err(FollowError::Pages)
    }

    /// Applies the changes after a version, and moves it on, until the watch ends.
    async fn watch(&mut self, version: &mut String) -> Result<(), FollowError> {
        let start = Instant::now();
        let timeout = self.times.watch_timeout(random_fraction());
        let watched = self.client.watch(T::PATH, &self.scope, version, timeout).await?;
        let WatchResponse { mut body, secrets } = watched;
        let mut lines = LineBuffer::new(MAX_LINE_BYTES);
        let mut is_idle = true;
        loop {
            let piece = match body.next().await {
                Ok(Some(piece)) => piece,
                // The server does not end watches.
                Ok(None) | Err(BodyError::Deadline) => break,
                Err(error) => return Err(ApiError::Body(error).into()),
            };
            lines.push(&piece);
            while let Some(line) = lines.next_line()? {
                self.apply(&line, version, &secrets)?;
                is_idle = false;
            }
        }
        if !lines.is_empty() {
            return Err(FollowError::Cut);
        }
        if is_idle && start.elapsed() < self.times.shortest_watch {
            return Err(FollowError::Early);
        }
        Ok(())
    }

    fn apply(
        &self,
        line: &Bytes,
        version: &mut String,
        secrets: &SentSecrets,
    ) -> Result<(), FollowError> {
        let (event, new) = event::parse::<T>(line).map_err(FollowError::Event)?;
        match event {
            WatchEvent::Stored(object) => self.store.store(object)?,
            WatchEvent::Removed(object) => self.store.remove(&object),
            WatchEvent::Bookmark => {}
            WatchEvent::Failed(status) => {
                return Err(ApiError::Status(StatusError::new(status, secrets)).into());
            }
        }
        if !new.is_empty() && new.len() <= MAX_TOKEN {
            *version = new;
        }
        Ok(())
    }

    /// Reports a failure and waits before the next attempt.
    async fn failed(&mut self, failure: &FollowError) {
        let delay =
            self.backoff.after_failure(Instant::now(), failure.retry_after(), random_fraction());
        let resource = T::PATH.plural;
        let (url, namespace) = (&self.client.access().url, &self.scope.namespace);
        if failure.is_expected() {
            tracing::debug!(
                error = %failure, %url, resource, namespace, ?delay, "Kubernetes watch ended"
            );
        } else {
            self.failures.inc();
            if let Some(suppressed) = self.errors.admit(std::time::Instant::now()) {
                tracing::error!(
                    error = %failure, %url, resource, namespace, ?delay, suppressed,
                    "cannot watch Kubernetes objects"
                );
            }
        }
        sleep(delay).await;
    }
}

impl FollowError {
    /// Returns `true` if a watch from the last version would fail again.
    fn needs_list(&self) -> bool {
        match self {
            Self::Api(error) => error.status().is_some_and(|status| !status.is_temporary()),
            Self::Cut | Self::Early => false,
            Self::Page(_)
            | Self::Event(_)
            | Self::Line(_)
            | Self::Store(_)
            | Self::Version
            | Self::Pages
            | Self::Internal => true,
        }
    }

    /// Returns `true` if the failure is part of the protocol.
    fn is_expected(&self) -> bool {
        match self {
            Self::Api(error) => error.status().is_some_and(StatusError::is_gone),
            other => matches!(other, Self::Early),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }
}

fn add_page<T: Resource>(
    mut listed: Listed<T>,
    body: &[u8],
) -> Result<(Listed<T>, ListMeta), FollowError> {
    let page: ListPage<T> = serde_json::from_slice(body).map_err(FollowError::Page)?;
    for object in page.items {
        listed.add(object)?;
    }
    Ok((listed, page.metadata))
}

/// Runs work that takes long on a thread for blocking work.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, FollowError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| FollowError::Internal)
}

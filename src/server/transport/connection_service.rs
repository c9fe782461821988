//! Service of a connection, in front of the router.
//!
//! Adds the client's address and its verified certificate to each request, and the configured
//! headers to each response. Tracks when a request starts, when its body was read and when its
//! response is complete. Over HTTP/1.1, a response to a request that was not read to its end closes
//! the connection; this is decided here for all requests.

use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::lingering::Lingering;
use crate::server::transport::request_body::{BodyProtocol, RequestBody};
use crate::server::transport::request_progress::{ActiveRequest, RequestProgress};
use crate::server::transport::response_headers::ResponseHeaders;
use crate::server::transport::response_start::HeldWrites;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Version};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Service of one connection. Clones share its progress.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionService {
    router: TowerToHyperService<Router>,
    progress: Arc<RequestProgress>,
    lingering: Arc<Lingering>,
    peer: PeerAddress,
    client_cert: ClientCertSlot,
    headers: ResponseHeaders,
    writes: Arc<HeldWrites>,
}

/// State of a connection that its service shares with its stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionState {
    pub(crate) progress: Arc<RequestProgress>,
    pub(crate) writes: Arc<HeldWrites>,
}

impl ConnectionService {
    pub(crate) fn new(
        router: Router,
        state: ConnectionState,
        lingering: Arc<Lingering>,
        peer: PeerAddress,
        client_cert: ClientCertSlot,
        headers: ResponseHeaders,
    ) -> Self {
        let router = TowerToHyperService::new(router);
        let ConnectionState { progress, writes } = state;
        Self { router, progress, lingering, peer, client_cert, headers, writes }
    }
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ActiveBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        if let Some(verified) = self.client_cert.get() {
            request.extensions_mut().insert(verified);
        }
        let is_http_2 = request.version() == Version::HTTP_2;
        let protocol = if is_http_2 {
            BodyProtocol::Http2(self.lingering.clone())
        } else {
            BodyProtocol::Http1(self.progress.clone())
        };
        let mut active = self.progress.start();
        let response = self.router.call(request.map(|body| RequestBody::new(body, protocol)));
        let headers = self.headers.clone();
        let writes = is_http_2.then(|| self.writes.clone());
        Box::pin(async move {
            let mut response = response.await?;
            headers.add_to(response.headers_mut());
            if !is_http_2 && active.progress().has_unread_body() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            active.set_worked_on(false);
            if let Some(writes) = writes {
                writes.hold();
            }
            Ok(response.map(|body| ActiveBody { body, active }))
        })
    }
}

/// Response body that keeps its request active until the body is dropped. While nothing polls it,
/// the client has to take what was sent before.
#[derive(Debug)]
pub(crate) struct ActiveBody {
    body: Body,
    active: ActiveRequest,
}

impl HttpBody for ActiveBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.active.set_worked_on(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

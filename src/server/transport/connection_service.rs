//! Service of a connection, in front of the router.
//!
//! Adds the client address to each request, and tracks when a request starts and when its response
//! is complete.

use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::connection::{ActiveRequest, RequestProgress};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
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
    peer: PeerAddress,
}

impl ConnectionService {
    pub(crate) fn new(router: Router, progress: Arc<RequestProgress>, peer: PeerAddress) -> Self {
        Self { router: TowerToHyperService::new(router), progress, peer }
    }
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ActiveBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let active = self.progress.start();
        let response = self.router.call(request);
        Box::pin(
            async move { Ok(response.await?.map(|body| ActiveBody { body, _active: active })) },
        )
    }
}

/// Response body that keeps its request active until the body is dropped.
#[derive(Debug)]
pub(crate) struct ActiveBody {
    body: Body,
    _active: ActiveRequest,
}

impl HttpBody for ActiveBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

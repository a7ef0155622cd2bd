//! API Gateway: TLS hosts that turn requests into events, call the functions, and turn answers into responses.
//!
//! [`route`] chooses the route, [`event`] builds what the function gets, [`answer`] what the caller gets, [`cors`] lets
//! pages of other origins call, [`tls`] asks for certificates. The routes come from the template; but for the stand-in's own
//! page ([`crate::trial`]), nothing is routed here that is not deployed there.

pub mod answer;
pub mod cors;
pub mod event;
pub mod route;
pub mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE as BASE64;
use futures_util::StreamExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use shared::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::answer::{Refusal, respond};
use self::cors::Cors;
use self::event::{Api, Received, build};
use self::route::{Matched, Routes};
use self::tls::Tls;
use crate::functions::{Functions, InvocationError};
use crate::trial::Trial;

/// API Gateway's limit for a request's body.
const LARGEST_BODY: usize = 10 * 1024 * 1024;
/// What is read of a body that is too large.
const MOST_DISCARDED: usize = 8 * LARGEST_BODY;
/// Lambda's limit for an event.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;
/// API Gateway's limit for an integration.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take for its handshake. A person may be typing a PIN meanwhile.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long open connections may finish when the stand-in ends.
const GRACE: Duration = Duration::from_secs(2);

/// One custom domain with its API.
#[derive(Debug)]
pub struct Host {
    /// Its name, such as `portal.localhost`.
    pub name: String,
    /// The custom domains that lead here. One that begins with `*.` stands for every name of one label more.
    pub domains: Vec<String>,
    /// The routes of its API.
    pub routes: Routes,
    /// What its API allows pages of other origins, when it is configured to.
    pub cors: Option<Cors>,
    /// The account and id that events name.
    pub api: Api,
    /// Its TLS.
    pub tls: Tls,
    /// The functions behind it.
    pub functions: Functions,
    /// The clock that stamps requests.
    pub clock: Clock,
    /// The stand-in's own page, beside the routes.
    pub trial: Option<Trial>,
}

impl Host {
    /// Serves the host until told to stop.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls.handshake));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection =
                        Arc::clone(&self).connection(stream, peer, port, acceptor.clone(), stopped.clone());
                    connections.spawn(connection);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must close first.
                    tracing::warn!(host = self.name, %error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        port: u16,
        acceptor: TlsAcceptor,
        mut stopped: watch::Receiver<bool>,
    ) {
        let _ = stream.set_nodelay(true);
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(host = self.name, reason = %error, "a TLS handshake failed");
                return;
            }
            Err(_) => return,
        };
        let admitted = self.tls.admits(stream.get_ref().1);
        if let Err(reason) = &admitted {
            tracing::info!(host = self.name, %reason, "a certificate is refused");
        }
        let refused = admitted.is_err();
        let server_name = stream.get_ref().1.server_name().map(str::to_owned);
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate: Option<Arc<[u8]>> = certificate.map(|certificate| Arc::from(certificate.as_ref()));
        let service = service_fn(move |request: Request<Incoming>| {
            let host = Arc::clone(&self);
            let (certificate, server_name) = (certificate.clone(), server_name.clone());
            async move {
                let caller = Caller { address: peer.ip(), port, certificate, refused, server_name };
                Ok::<_, std::convert::Infallible>(host.answer(request.map(Body::new), &caller).await)
            }
        });
        let server = auto::Builder::new(TokioExecutor::new());
        let connection = server.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let end = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        tokio::select! {
            _ = connection.as_mut() => return,
            () = end => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Body>, caller: &Caller) -> Response<Body> {
        let began = Instant::now();
        let request_id = request_id();
        let mut route = None;
        let result = self.pass(request, caller, &request_id, &mut route).await;
        let mut response = result.unwrap_or_else(Refusal::response);
        // Route keys and ids only: a path or a query may hold personal data.
        tracing::info!(
            host = self.name,
            route = route.as_deref().unwrap_or("-"),
            status = response.status().as_u16(),
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_id,
            "gateway request"
        );
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        response
    }

    /// Whether a request for this name belongs here. Loopback's own names stand for the host too.
    fn is_named(&self, name: &str) -> bool {
        let domain = |domain: &String| match domain.strip_prefix("*.") {
            None => domain == name,
            Some(parent) => {
                name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
            }
        };
        ["localhost", "127.0.0.1"].contains(&name) || self.domains.iter().any(domain)
    }

    async fn pass(
        &self,
        request: Request<Body>,
        caller: &Caller,
        request_id: &str,
        route: &mut Option<String>,
    ) -> Result<Response<Body>, Refusal> {
        let (mut parts, body) = request.into_parts();
        // HTTP/2 names the host outside the headers; events have it among them.
        if let Some(authority) =
            parts.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok())
        {
            parts.headers.entry(header::HOST).or_insert(authority);
        }
        let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let domain_name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        if !self.is_named(&domain_name) {
            return Err(Refusal::Forbidden);
        }
        // A browser that did so would show the card that was chosen for the other name.
        if caller.server_name.as_ref().is_some_and(|asked| *asked != domain_name) {
            tracing::warn!(host = self.name, request_id, "a connection is used for another name");
        }
        if caller.refused {
            return Err(Refusal::Forbidden);
        }
        let path = decoded(parts.uri.path());
        if let Some(answer) = self.trial.as_ref().and_then(|trial| trial.answer(&parts.method, &path)) {
            *route = Some("GET /try".to_owned());
            return Ok(answer);
        }
        let matched = self.routes.find(parts.method.as_str(), &path);
        if let Some(cors) = &self.cors
            && Cors::answers(&parts.method, &parts.headers, matched.as_ref().is_some_and(Matched::is_routed))
        {
            return Ok(cors.preflight(&parts.headers));
        }
        let matched = matched.ok_or(Refusal::NotFound)?;
        *route = Some(matched.key.to_owned());

        let body = whole(body).await?;
        let received = Received {
            method: parts.method.as_str(),
            path: &path,
            query: parts.uri.query().unwrap_or_default(),
            version: parts.version,
            headers: &parts.headers,
            body: &body,
            source_ip: caller.address,
            port: caller.port,
            domain_name: &domain_name,
            client_certificate: caller.certificate.as_deref(),
            request_id,
            now: self.clock.now(),
        };
        let event = build(&received, &matched, &self.api);
        // Base64 and escapes make an event larger than its body.
        if body.len() > LARGEST_EVENT / 2 && event.to_string().len() > LARGEST_EVENT {
            return Err(Refusal::TooLarge);
        }
        let invocation = self.functions.invoke(matched.function, event);
        let answer = match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(function = matched.function, request_id, %error, "an invocation failed");
                return Err(match error {
                    InvocationError::Unreachable(_) => Refusal::TimedOut,
                    _ => Refusal::Failed,
                });
            }
            Err(_) => return Err(Refusal::TimedOut),
        };
        let mut response = respond(&answer)?;
        if let Some(cors) = &self.cors {
            cors.apply(&parts.headers, &mut response);
        }
        Ok(response)
    }
}

#[derive(Debug)]
struct Caller {
    address: IpAddr,
    port: u16,
    certificate: Option<Arc<[u8]>>,
    /// Whether its certificate is one with which nobody is let through.
    refused: bool,
    /// The name that its handshake asked for.
    server_name: Option<String>,
}

/// Reads a body. One that is too large is read to its end all the same, within reason: a client that is still sending
/// would take an early answer for a broken connection.
async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut received = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::TooLarge)?;
        received = received.saturating_add(chunk.len());
        if received <= LARGEST_BODY {
            bytes.extend_from_slice(&chunk);
        } else if received > MOST_DISCARDED {
            break;
        }
    }
    if received > LARGEST_BODY { Err(Refusal::TooLarge) } else { Ok(bytes.into()) }
}

/// Sixteen characters, the last an equals sign, as API Gateway's ids are.
fn request_id() -> String {
    let mut bytes = [0; 11];
    // Only an id: should chance fail, the request goes on under a dull one.
    let _ = rand::fill(&mut bytes);
    BASE64.encode(bytes)
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        match escaped {
            Some(byte) => {
                bytes.extend(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_ids_have_the_usual_form() {
        assert_eq!(decoded("/a%20b/%E8%87%BA%zz%4"), "/a b/臺%zz%4");
        let id = request_id();
        assert_eq!((id.len(), id.ends_with('=')), (16, true), "{id}");
    }
}

//! Connections that can be reset: an answer that is marked as severed never leaves, and its connection ends with a TCP reset.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::{future, io};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, connect_info::Connected};
use axum::http::Response;
use axum::middleware::{self, Next};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Marks an answer that its caller is never to get.
#[derive(Debug, Clone, Copy)]
struct Severed;

/// In place of an answer: the connection ends with a reset.
pub(crate) fn severed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Severed);
    response
}

/// Serves on connections that can be reset, until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    serve_until(listener, router, future::pending()).await
}

/// As [`serve`], until told to stop: open requests are answered then.
pub(crate) async fn serve_until(
    listener: TcpListener,
    router: Router,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = router.layer(middleware::from_fn(sever)).into_make_service_with_connect_info::<Line>();
    axum::serve(Lines(listener), service).with_graceful_shutdown(end).await
}

async fn sever(ConnectInfo(line): ConnectInfo<Line>, request: Request, next: Next) -> Response<Body> {
    let response = next.run(request).await;
    if response.extensions().get::<Severed>().is_some() {
        line.0.store(true, Ordering::Release);
    }
    response
}

/// A connection, for whoever decides about its end.
#[derive(Debug, Clone, Default)]
struct Line(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.remote_addr().clone()
    }
}

#[derive(Debug)]
struct Lines(TcpListener);

impl Listener for Lines {
    type Io = Wire;
    type Addr = Line;

    async fn accept(&mut self) -> (Wire, Line) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        let line = Line::default();
        (Wire { stream, line: line.clone() }, line)
    }

    fn local_addr(&self) -> io::Result<Line> {
        Ok(Line::default())
    }
}

/// A connection's bytes. Once it is to be reset, none leave any more.
struct Wire {
    stream: TcpStream,
    line: Line,
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.line.0.load(Ordering::Acquire) {
            // The kernel then ends the connection with RST in place of FIN.
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use lambda_runtime::LambdaEvent;
    use serde_json::{Value, json};
    use shared::lambda::Function;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::faults::{Effect, Faults};
    use crate::functions::Functions;
    use crate::traffic::{Service, Traffic};

    #[derive(Clone, Default)]
    struct Door {
        traffic: Traffic,
        service: Option<Service>,
        done: Arc<AtomicU32>,
    }

    async fn handle(State(door): State<Door>, headers: HeaderMap) -> Response<Body> {
        let done = Arc::clone(&door.done);
        let effect = async move {
            done.fetch_add(1, Ordering::SeqCst);
            Response::new(Body::from("done"))
        };
        let service = door.service.unwrap_or(Service::Ses);
        door.traffic.around(service, service.operations()[0], &headers, effect).await
    }

    /// A service behind which a function makes calls that meet these faults.
    async fn serve_with(
        service: Service,
        faults: &str,
        functions: Functions,
    ) -> (Door, std::net::SocketAddr) {
        let door = Door { service: Some(service), ..Door::default() };
        door.traffic.attach(functions);
        door.traffic.set_faults(Some(Faults::parse(faults).unwrap()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(handle)).with_state(door.clone());
        tokio::spawn(serve(listener, router));
        (door, address)
    }

    fn nothing() -> Functions {
        Functions::single("email-dispatch", Function::new(|_| async { Ok(json!({})) }))
    }

    fn request(function: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential={function}/20260102/ap-east-2/ses/aws4_request\r\n\r\n"
        )
    }

    /// What comes back on the wire: text, or how the connection ended; nothing when no answer comes.
    async fn ask(address: std::net::SocketAddr, function: &str) -> Option<io::Result<String>> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(function).as_bytes()).await.unwrap();
        let mut bytes = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut bytes)).await.ok()?;
        Some(read.map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned()))
    }

    fn fault(service: Service, effect: Effect) -> String {
        format!("[[fault]]\nservice = \"{}\"\neffect = \"{effect}\"\ncalls = \"1\"\n", service.name())
    }

    #[tokio::test]
    async fn every_effect_is_what_the_caller_sees() {
        let rows = [
            (
                Service::DynamoDb,
                Effect::Throttle,
                "400 Bad Request|ProvisionedThroughputExceededException",
                0,
            ),
            (Service::Kms, Effect::Throttle, "400 Bad Request|ThrottlingException", 0),
            (Service::Ses, Effect::Throttle, "429 Too Many Requests|TooManyRequestsException", 0),
            (Service::Sqs, Effect::Throttle, "403 Forbidden|RequestThrottled", 0),
            (Service::DynamoDb, Effect::Error500, "500 Internal Server Error|InternalServerError", 0),
            (Service::Kms, Effect::Error500, "500 Internal Server Error|KMSInternalException", 0),
            (Service::Ses, Effect::Error500, "500 Internal Server Error|InternalServiceErrorException", 0),
            (Service::Ses, Effect::TimeoutBefore, "no answer", 0),
            (Service::Ses, Effect::TimeoutAfter, "no answer", 1),
            (Service::Ses, Effect::Reset, "reset", 0),
            (Service::Ses, Effect::ResetAfter, "reset", 1),
            (Service::Ses, Effect::Crash, "reset", 0),
            (Service::Ses, Effect::CrashAfter, "reset", 1),
        ];
        for (service, effect, expected, done) in rows {
            let (door, address) = serve_with(service, &fault(service, effect), nothing()).await;
            let seen = ask(address, "email-dispatch").await;
            match (expected, &seen) {
                ("no answer", None) => {}
                // RST, not FIN: the end of a stream would be an empty text.
                ("reset", Some(Err(error))) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
                (_, Some(Ok(text))) => {
                    let (status, code) = expected.split_once('|').unwrap();
                    assert!(text.contains(status) && text.contains(code), "{effect}: {text}");
                }
                _ => panic!("{service:?} {effect}: {seen:?}"),
            }
            assert_eq!(door.done.load(Ordering::SeqCst), done, "{effect}");
            // The second call is as it should be.
            let text = ask(address, "email-dispatch").await.unwrap().unwrap();
            assert!(
                text.starts_with(&format!("HTTP/1.1 {}", StatusCode::OK)) && text.ends_with("done"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn only_calls_of_functions_meet_faults() {
        let always = "[[fault]]\nservice = \"ses\"\neffect = \"reset\"\n";
        let (_, address) = serve_with(Service::Ses, always, nothing()).await;
        assert!(ask(address, "roster-import").await.unwrap().unwrap().ends_with("done"));
        assert!(ask(address, "email-dispatch").await.unwrap().is_err());
    }

    #[tokio::test]
    async fn an_answer_that_is_held_back_ends_with_the_stand_in() {
        let always = "[[fault]]\nservice = \"ses\"\neffect = \"timeout_before\"\n";
        let (door, address) = serve_with(Service::Ses, always, nothing()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request("email-dispatch").as_bytes()).await.unwrap();
        door.traffic.close();
        let ended = stream.read(&mut [0; 16]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_crash_ends_the_function_where_it_is() {
        let after = Arc::new(AtomicU32::new(0));
        let target = Arc::new(std::sync::OnceLock::new());
        let function = {
            let (after, target) = (Arc::clone(&after), Arc::clone(&target));
            Function::new(move |_: LambdaEvent<Value>| {
                let (after, target) = (Arc::clone(&after), Arc::clone(&target));
                async move {
                    let _ = ask(*target.get().unwrap(), "email-dispatch").await;
                    after.fetch_add(1, Ordering::SeqCst);
                    Ok(json!({}))
                }
            })
        };
        let functions = Functions::single("email-dispatch", function);
        let crash = fault(Service::Ses, Effect::CrashAfter);
        let (door, address) = serve_with(Service::Ses, &crash, functions.clone()).await;
        target.set(address).unwrap();
        let ended = functions.invoke("email-dispatch", json!({})).await;
        assert_eq!(ended.unwrap_err().to_string(), "the function failed: it crashed");
        assert_eq!((door.done.load(Ordering::SeqCst), after.load(Ordering::SeqCst)), (1, 0));
        functions.invoke("email-dispatch", json!({})).await.unwrap();
        assert_eq!((door.done.load(Ordering::SeqCst), after.load(Ordering::SeqCst)), (2, 1));
    }
}

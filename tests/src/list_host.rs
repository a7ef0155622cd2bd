//! A CA's web server for its revocation list, well-behaved or not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How the server answers.
#[derive(Clone, Debug, Default)]
pub enum Manner {
    /// With the list, or `304` to whoever has it.
    #[default]
    Well,
    /// With this status.
    Status(u16),
    /// With a redirect to this address.
    Redirects(String),
    /// With a redirect to another path of its own, where the list is.
    RedirectsHere,
    /// With the whole list's length, and half of it.
    Truncates,
    /// With this many bytes, whose number it does not tell.
    Babbles(usize),
    /// Not at all.
    Silent,
}

/// The server. It ends with the value.
#[derive(Debug)]
pub struct ListHost {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    list: Vec<u8>,
    manner: Manner,
    answers: Vec<u16>,
}

impl ListHost {
    /// A server that publishes `list`.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start(list: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { list, ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// Where the list is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/complete.crl", self.address)
    }

    /// Publishes another list.
    pub fn publish(&self, list: Vec<u8>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).list = list;
    }

    /// Answers otherwise from now on.
    pub fn behave(&self, manner: Manner) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).manner = manner;
    }

    /// The statuses that it answered with since this was asked last.
    #[must_use]
    pub fn answers(&self) -> Vec<u16> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).answers)
    }
}

impl Drop for ListHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let (status, head, body) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answer(&request, &state);
        state.answers.push(answer.0);
        answer
    };
    if status == 0 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        return;
    }
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{head}\r\n");
    // The other side may have had enough.
    if stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(&body).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// Status, header lines and body; status 0 for none.
fn answer(request: &str, state: &State) -> (u16, String, Vec<u8>) {
    let list = &state.list;
    let etag = format!("\"{:02x?}\"", digest(&SHA256, list).as_ref().get(..8).unwrap_or_default());
    let etag = etag.replace([' ', ',', '[', ']'], "");
    let whole = || (200, format!("content-length: {}\r\netag: {etag}\r\n", list.len()), list.clone());
    match &state.manner {
        Manner::Well if request.contains(&format!("if-none-match: {etag}\r\n")) => {
            (304, format!("etag: {etag}\r\n"), Vec::new())
        }
        Manner::Well => whole(),
        Manner::Status(status) => (*status, "content-length: 0\r\n".to_owned(), Vec::new()),
        Manner::RedirectsHere if request.starts_with("get /moved/") => whole(),
        Manner::RedirectsHere => (302, "location: /moved/complete.crl\r\n".to_owned(), Vec::new()),
        Manner::Redirects(to) => (302, format!("location: {to}\r\n"), Vec::new()),
        Manner::Truncates => {
            (200, format!("content-length: {}\r\n", list.len()), list[..list.len() / 2].to_vec())
        }
        Manner::Babbles(length) => (200, String::new(), vec![0x30; *length]),
        Manner::Silent => (0, String::new(), Vec::new()),
    }
}

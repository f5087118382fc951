//! A visitor whose every byte a test chooses, over TCP or TLS.

use std::io::{BufReader, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use portcullis_testkit::tls::client_accepting_any;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::LIMIT;
use crate::message::{Content, Framing, Head};

pub struct Visitor {
    pub stream: BufReader<ClientStream>,
}

pub enum ClientStream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl ClientStream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => stream.get_ref(),
        }
    }
}

impl Read for ClientStream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct ReceivedResponse {
    pub head: Head,
    pub framing: Framing,
    pub content: Content,
}

impl ReceivedResponse {
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content.bytes).into_owned()
    }
}

impl Visitor {
    pub fn plain(gate: SocketAddr) -> Self {
        Self { stream: BufReader::new(ClientStream::Plain(connect(gate))) }
    }

    /// Over TLS, offering these protocols (ALPN), if any.
    pub fn secure(gate: SocketAddr, protocols: &[&str]) -> Self {
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes()).collect();
        let config = client_accepting_any(&protocols);
        let name = ServerName::try_from("example.org").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = StreamOwned::new(tls, connect(gate));
        Self { stream: BufReader::new(ClientStream::Secure(Box::new(stream))) }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        match self.stream.get_mut() {
            ClientStream::Plain(stream) => stream.write_all(bytes.as_ref()),
            ClientStream::Secure(stream) => {
                stream.write_all(bytes.as_ref()).and_then(|()| stream.flush())
            }
        }
    }

    /// Ends the sending side.
    pub fn end(&mut self) {
        self.stream.get_ref().tcp().shutdown(Shutdown::Write).unwrap();
    }

    /// The next head, without what belongs to it.
    pub fn head(&mut self) -> Head {
        self.head_or_end().expect("the gate closes instead of answering")
    }

    fn head_or_end(&mut self) -> Option<Head> {
        let head = match Head::read(&mut self.stream) {
            Ok(head) => head?,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ) =>
            {
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        // Either may be sent to an HTTP/1.0 visitor, or come from an HTTP/1.0 origin.
        assert!(
            head.start.starts_with("HTTP/1.1 ") || head.start.starts_with("HTTP/1.0 "),
            "{head:?}"
        );
        Some(head)
    }

    /// The next answer, to a request of this method. `None` where the connection ends before its
    /// head is complete.
    pub fn response_or_end(&mut self, method: &str) -> Option<ReceivedResponse> {
        let head = self.head_or_end()?;
        let framing = head.framing_of_answer(method);
        let content = Content::read(&mut self.stream, framing).unwrap();
        Some(ReceivedResponse { head, framing, content })
    }

    pub fn response_to(&mut self, method: &str) -> ReceivedResponse {
        self.response_or_end(method).expect("the gate closes instead of answering")
    }

    pub fn response(&mut self) -> ReceivedResponse {
        self.response_to("GET")
    }

    /// A GET, and its answer.
    pub fn get(&mut self, path: &str) -> ReceivedResponse {
        self.send(get(path));
        self.response()
    }

    /// The bytes that arrive now, at least one.
    pub fn read_some(&mut self) -> Vec<u8> {
        let mut buffer = [0; 16_384];
        let read = self.stream.read(&mut buffer).unwrap();
        buffer[..read].to_vec()
    }

    /// Whether the gate ends the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest.is_empty()
    }

    /// Whether nothing comes for a while.
    pub fn receives_nothing_for(&mut self, time: Duration) -> bool {
        self.stream.get_ref().tcp().set_read_timeout(Some(time)).unwrap();
        let read = self.stream.read(&mut [0; 1]);
        self.stream.get_ref().tcp().set_read_timeout(Some(LIMIT)).unwrap();
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n")
}

/// A request with a body and its length.
pub fn post(path: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: example.org\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    [head.as_bytes(), content].concat()
}

fn connect(gate: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(gate).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

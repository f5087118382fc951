//! An origin that a test writes byte by byte.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::LIMIT;
use crate::message::{Content, Head};

pub struct Origin {
    pub address: SocketAddr,
    log: Arc<OriginLog>,
}

#[derive(Default)]
struct OriginLog {
    connections: AtomicUsize,
    ended: AtomicUsize,
    requests: Mutex<Vec<ReceivedRequest>>,
    complaints: Mutex<Vec<String>>,
}

/// A request, as the origin reads it.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    pub head: Head,
    pub method: String,
    pub path: String,
    pub content: Content,
    index: usize,
}

/// One connection of the gate's.
pub struct OriginConn {
    /// The how manieth connection it is, from 0.
    pub number: usize,
    pub lines: BufReader<TcpStream>,
    stream: TcpStream,
    log: Arc<OriginLog>,
}

impl Origin {
    /// Runs `behave` for each connection; it ends when that returns.
    pub fn start(behave: impl Fn(&mut OriginConn) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<OriginLog>::default();
        let shared = log.clone();
        let behave = Arc::new(behave);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                let lines = BufReader::new(stream.try_clone().unwrap());
                let mut link = OriginConn { number, lines, stream, log: shared.clone() };
                let behave = behave.clone();
                let shared = shared.clone();
                std::thread::spawn(move || {
                    behave(&mut link);
                    drop(link);
                    shared.ended.fetch_add(1, Ordering::Release);
                });
            }
        });
        Self { address, log }
    }

    /// Answers each request with what `answer` makes of it, on persistent connections.
    pub fn answering(answer: impl Fn(&ReceivedRequest) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |link| {
            while let Some(asked) = link.next_request() {
                link.write(answer(&asked));
            }
        })
    }

    /// The requests whose heads have come, each with as much of its body as came.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.log.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::Relaxed)
    }

    /// How many of them the origin has closed.
    pub fn ended(&self) -> usize {
        self.log.ended.load(Ordering::Acquire)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let complaints = self.log.complaints.lock().unwrap();
        assert!(complaints.is_empty() || std::thread::panicking(), "{complaints:?}");
    }
}

impl OriginConn {
    /// The head of the next request. `None` where the connection ends.
    pub fn head(&mut self) -> Option<ReceivedRequest> {
        let head = match Head::read(&mut self.lines) {
            Ok(head) => head?,
            Err(error) => {
                self.complain(&error);
                return None;
            }
        };
        let mut words = head.start.split(' ').map(ToOwned::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        if words.next().as_deref() != Some("HTTP/1.1") || head.all("host").len() != 1 {
            let complaint = format!("no request: {head:?}");
            self.log.complaints.lock().unwrap().push(complaint);
        }
        let mut requests = self.log.requests.lock().unwrap();
        let place = requests.len();
        let asked =
            ReceivedRequest { head, method, path, content: Content::default(), index: place };
        requests.push(asked.clone());
        Some(asked)
    }

    /// The body that belongs to a head; returns whether it came whole.
    pub fn body(&mut self, asked: &mut ReceivedRequest) -> bool {
        match Content::read(&mut self.lines, asked.head.framing_of_request()) {
            Ok(content) => asked.content = content,
            Err(error) => self.complain(&error),
        }
        self.log.requests.lock().unwrap()[asked.index] = asked.clone();
        asked.content.whole
    }

    /// The next request, whole.
    pub fn next_request(&mut self) -> Option<ReceivedRequest> {
        let mut asked = self.head()?;
        self.body(&mut asked).then_some(asked)
    }

    /// Errors are ignored: the gate may have closed the connection.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    fn complain(&self, error: &std::io::Error) {
        if error.kind() == std::io::ErrorKind::InvalidData {
            self.log.complaints.lock().unwrap().push(error.to_string());
        }
    }
}

/// An answer with its length.
pub fn answer(content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len()).into_bytes();
    bytes.extend(content);
    bytes
}

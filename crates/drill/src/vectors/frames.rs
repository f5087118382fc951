//! HTTP/2 frames as bytes (RFC 9113, section 4.1), and header blocks without compression (RFC 7541,
//! sections 5 and 6). A separate encoder is needed for frames that no library lets one write.

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// `SETTINGS_HEADER_TABLE_SIZE` and `SETTINGS_INITIAL_WINDOW_SIZE`.
pub(super) const TABLE_SIZE: u16 = 1;
pub(super) const WINDOW_SIZE: u16 = 4;

/// Frames to be sent in one go.
#[derive(Debug, Default)]
pub(super) struct FrameBatch {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
}

impl FrameBatch {
    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        self.bytes.extend(&length[1..]);
        self.bytes.extend([kind, flags]);
        self.bytes.extend(stream.to_be_bytes());
        self.bytes.extend(payload);
        self.count += 1;
    }

    pub(super) fn settings(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(which, value)| which.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        self.frame(SETTINGS, 0, 0, &payload);
    }

    /// A whole request's headers.
    pub(super) fn headers(&mut self, stream: u32, block: &HpackBlock, ends: bool) {
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block.0);
    }

    pub(super) fn window_update(&mut self, stream: u32, by: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    }

    pub(super) fn reset(&mut self, stream: u32, code: u32) {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes());
    }
}

/// A header block.
#[derive(Clone, Debug, Default)]
pub(super) struct HpackBlock(pub(super) Vec<u8>);

impl HpackBlock {
    /// The four pseudo-fields of a request (RFC 9113, section 8.3.1).
    pub(super) fn request(method: &str, host: &str, path: &str) -> Self {
        let mut block = Self::default();
        block.field(":method", method);
        block.field(":scheme", "https");
        block.field(":authority", host);
        block.field(":path", path);
        block
    }

    /// A field, as it is: literal, without indexing (RFC 7541, section 6.2.2).
    pub(super) fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.push(0);
        self.string(name);
        self.string(value);
        self
    }

    /// A field that the other end is to remember (section 6.2.1).
    pub(super) fn indexed_field(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.push(0x40);
        self.string(name);
        self.string(value);
        self
    }

    /// The field that was indexed last, `times` times: a byte each (section 6.1, index 62).
    pub(super) fn repeat_last(&mut self, times: usize) -> &mut Self {
        self.0.extend(std::iter::repeat_n(0x80 | 0x3e, times));
        self
    }

    fn string(&mut self, text: &str) {
        self.integer(7, text.len());
        self.0.extend(text.as_bytes());
    }

    /// An integer with a prefix of `prefix` bits (section 5.1).
    fn integer(&mut self, prefix: u32, value: usize) {
        let full = (1 << prefix) - 1;
        if value < full {
            self.0.push(value as u8);
            return;
        }
        self.0.push(full as u8);
        let mut rest = value - full;
        while rest >= 128 {
            self.0.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        self.0.push(rest as u8);
    }
}

/// The status in the header block of a response, of which an encoder that may remember nothing
/// (a table of size zero) leaves only these forms: indexed, or literal with digits as they are or
/// in Huffman's code.
pub(super) fn status(mut block: &[u8]) -> Option<u16> {
    // A dynamic table size update (section 6.3).
    while let [first, rest @ ..] = block {
        if first & 0xe0 != 0x20 {
            break;
        }
        block = rest;
    }
    let (&first, rest) = block.split_first()?;
    match first {
        0x88 => return Some(200),
        0x89 => return Some(204),
        0x8a => return Some(206),
        0x8b => return Some(304),
        0x8c => return Some(400),
        0x8d => return Some(404),
        0x8e => return Some(500),
        // The name of entry 8 to 14, `:status`, in the three literal forms.
        0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e => {}
        _ => return None,
    }
    let (&length, rest) = rest.split_first()?;
    let text = rest.get(..usize::from(length & 0x7f))?;
    if length & 0x80 == 0 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    // RFC 7541, appendix B: 0, 1 and 2 have five bits, the other digits six, from 0x19 on.
    let mut bits = text.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    bits <<= 32_u32.checked_sub(8 * text.len() as u32)?;
    let mut status = 0;
    for _ in 0..3 {
        let five = (bits >> 27) as u16;
        let (digit, length) =
            if five < 3 { (five, 5) } else { (((bits >> 26) as u16).checked_sub(0x16)?, 6) };
        status = status * 10 + (digit <= 9).then_some(digit)?;
        bits <<= length;
    }
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_layout_of_the_rfc() {
        let mut frames = FrameBatch::default();
        frames.window_update(5, 1);
        assert_eq!(frames.bytes, [0, 0, 4, 8, 0, 0, 0, 0, 5, 0, 0, 0, 1]);
        let mut frames = FrameBatch::default();
        frames.settings(&[(WINDOW_SIZE, 65_535)]);
        assert_eq!(frames.bytes, [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 255, 255]);
        assert_eq!(frames.count, 1);
    }

    #[test]
    fn integers_beyond_the_prefix_continue_in_seven_bits() {
        // The examples of RFC 7541, appendix C.1.
        for (prefix, value, bytes) in
            [(5, 10, &[10_u8] as &[u8]), (5, 1337, &[31, 154, 10]), (8, 42, &[42])]
        {
            let mut block = HpackBlock::default();
            block.integer(prefix, value);
            assert_eq!(block.0, bytes, "{value}");
        }
    }

    /// Against h2's decoder, which reads browsers' requests.
    #[tokio::test]
    async fn a_library_understands_our_requests() {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = tokio::spawn(async move {
            let mut connection = h2::server::handshake(theirs).await.unwrap();
            let (request, _) = connection.accept().await.unwrap().unwrap();
            request
        });
        let mut frames = FrameBatch::default();
        frames.bytes.extend(PREFACE);
        frames.settings(&[(TABLE_SIZE, 0)]);
        let mut block = HpackBlock::request("GET", "example.org", "/a?b=c");
        block.field("cookie", &"x".repeat(300)).indexed_field("x-a", "y").repeat_last(2);
        frames.headers(1, &block, true);
        let mut ours = ours;
        tokio::io::AsyncWriteExt::write_all(&mut ours, &frames.bytes).await.unwrap();
        let request = server.await.unwrap();
        assert_eq!(request.uri(), "https://example.org/a?b=c");
        assert_eq!(request.headers().get_all("x-a").iter().count(), 3);
        assert_eq!(request.headers()["cookie"].len(), 300);
    }

    /// Against h2's encoder, which writes the gate's responses.
    #[tokio::test]
    async fn statuses_are_read_as_a_library_writes_them() {
        for code in [200_u16, 204, 301, 302, 400, 403, 404, 413, 421, 429, 431, 500, 502, 503, 599]
        {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let answer = http::Response::builder().status(code).body(()).unwrap();
            let server = tokio::spawn(async move {
                let mut connection = h2::server::handshake(theirs).await.unwrap();
                let (_, mut stream) = connection.accept().await.unwrap().unwrap();
                stream.send_response(answer, true).unwrap();
                let _ = connection.accept().await;
            });
            let mut frames = FrameBatch::default();
            frames.bytes.extend(PREFACE);
            frames.settings(&[(TABLE_SIZE, 0)]);
            frames.headers(1, &HpackBlock::request("GET", "a", "/"), true);
            let mut ours = ours;
            tokio::io::AsyncWriteExt::write_all(&mut ours, &frames.bytes).await.unwrap();
            let read = loop {
                let mut head = [0; 9];
                tokio::io::AsyncReadExt::read_exact(&mut ours, &mut head).await.unwrap();
                let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                tokio::io::AsyncReadExt::read_exact(&mut ours, &mut payload).await.unwrap();
                if head[3] == SETTINGS && head[4] & ACK == 0 {
                    let mut frames = FrameBatch::default();
                    frames.frame(SETTINGS, ACK, 0, &[]);
                    tokio::io::AsyncWriteExt::write_all(&mut ours, &frames.bytes).await.unwrap();
                }
                if head[3] == HEADERS {
                    break status(&payload);
                }
            };
            assert_eq!(read, Some(code));
            server.abort();
        }
    }
}

//! A reader for the lines of one file: its format is recognised once, from its first lines.

use core::net::IpAddr;
use std::borrow::Cow;
use std::collections::BTreeSet;

use super::fields::is_private;
use super::format::{FormatState, LineFormat};
use super::log_line::{LogLine, LoggedSource, ParseError};
use super::wrapper::Wrapper;

/// Lines of the trial.
const TRIAL_LINES: usize = 200;
/// Lines after which a combination that has read all of them needs no more.
const TRIAL_ENOUGH: usize = 20;
/// Distinct addresses that must all be zeroed: by chance they are with one in 16 million.
const ZEROED_ENOUGH: usize = 3;
/// Lines, and user agents in them, with one private address: of a proxy, not of a visitor.
const ONE_PROXY_LINES: usize = 20;
const ONE_PROXY_AGENTS: usize = 3;

/// What the addresses of a file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceUse {
    /// Those of visitors, as far as a line has one.
    #[default]
    Whole,
    /// Shortened to their network: the last octet is always zero.
    Shortened,
    /// That of one proxy for all.
    OneProxy,
}

/// Reads the lines of one file.
#[derive(Clone, Debug)]
pub struct LineReader {
    format: LineFormat,
    wrapper: Wrapper,
    state: FormatState,
    /// X-Forwarded-For names the visitor, whatever the address of the connection.
    forwarded: bool,
    sources: SourceUse,
    scratch: Vec<u8>,
}

impl LineReader {
    /// A reader of bare lines.
    pub fn new(format: LineFormat) -> Self {
        Self {
            format,
            wrapper: Wrapper::Bare,
            state: FormatState::default(),
            forwarded: false,
            sources: SourceUse::Whole,
            scratch: Vec::new(),
        }
    }

    /// Recognises the format of a file from its beginning, which may end within a line. `format`:
    /// what it is known to be. If no line can be read, the reader expects the combined format.
    pub fn recognise(head: &[u8], format: Option<&LineFormat>) -> Self {
        let lines: Vec<&[u8]> = head
            .split(|byte| *byte == b'\n')
            .map(clean)
            .filter(|line| !line.is_empty())
            .take(TRIAL_LINES)
            .collect();
        let mut best = Self::new(format.cloned().unwrap_or(LineFormat::Combined));
        let mut most = 0;
        for wrapper in Wrapper::ALL {
            let formats = match format {
                Some(format) => core::slice::from_ref(format),
                None => LineFormat::KNOWN.as_slice(),
            };
            for format in formats {
                let mut reader = Self { wrapper, ..Self::new(format.clone()) };
                let read = reader.trial(&lines);
                if read > most {
                    (most, best) = (read, Self { wrapper, ..Self::new(format.clone()) });
                }
            }
            // A combination that reads nearly everything needs no other prefix.
            if most * 10 >= lines.len() * 9 && most > 0 {
                break;
            }
        }
        best.study_sources(&lines);
        best
    }

    /// How many of the lines it reads.
    fn trial(&mut self, lines: &[&[u8]]) -> usize {
        let mut read = 0;
        for (at, line) in lines.iter().enumerate() {
            read += usize::from(matches!(self.read(line), Ok(Some(_))));
            // A format that reads none of the first lines is given no more of them; W3C has a head
            // of four.
            if at + 1 >= TRIAL_ENOUGH && (read == 0 || read == at + 1) {
                return if read == 0 { 0 } else { lines.len() };
            }
        }
        read
    }

    /// Works out what the addresses of a file are, from its first lines.
    fn study_sources(&mut self, lines: &[&[u8]]) {
        let mut trial = self.clone();
        let (mut count, mut with_forwarded) = (0, 0);
        let (mut remotes, mut visitors) = (BTreeSet::new(), BTreeSet::new());
        let mut agents = BTreeSet::new();
        for line in lines {
            let Ok(Some(line)) = trial.read(line) else { continue };
            count += 1;
            with_forwarded += usize::from(line.forwarded.is_some());
            if let LoggedSource::Address(address) = line.source {
                remotes.insert(address);
            }
            visitors.extend(line.forwarded);
            agents.extend(line.user_agent.map(Cow::into_owned));
        }
        self.forwarded = count > 0
            && with_forwarded * 10 >= count * 9
            && (visitors.len() > 2 * remotes.len() || remotes.iter().all(|a| is_private(*a)));
        let used = if self.forwarded { &visitors } else { &remotes };
        if used.len() >= ZEROED_ENOUGH && used.iter().all(|address| is_zeroed(*address)) {
            self.sources = SourceUse::Shortened;
        }
        let one_proxy = used.len() == 1 && used.iter().all(|address| is_private(*address));
        if one_proxy && count >= ONE_PROXY_LINES && agents.len() >= ONE_PROXY_AGENTS {
            self.sources = SourceUse::OneProxy;
        }
    }

    /// Reads one line, without its line break; `None` for a directive (`#Fields:`).
    pub fn read<'a>(&'a mut self, line: &'a [u8]) -> Result<Option<LogLine<'a>>, ParseError> {
        let Self { format, wrapper, state, scratch, .. } = self;
        let line = wrapper.unwrap(clean(line), scratch)?;
        let Some(mut line) = format.parse(line, state)? else { return Ok(None) };
        if let Some(visitor) = line.forwarded {
            let by_proxy = match line.source {
                LoggedSource::Address(address) => is_private(address),
                LoggedSource::Name(_) => false,
                LoggedSource::Hidden => true,
            };
            if by_proxy || self.forwarded {
                line.source = LoggedSource::Address(visitor);
            }
        }
        match line.source {
            LoggedSource::Address(address)
                if self.sources != SourceUse::Whole || address.is_unspecified() =>
            {
                line.source = LoggedSource::Hidden;
            }
            _ => {}
        }
        Ok(Some(line))
    }

    /// The format that was recognised.
    pub const fn format(&self) -> &LineFormat {
        &self.format
    }

    /// What is around each line; `None` if nothing is.
    pub fn wrapper(&self) -> Option<&'static str> {
        (self.wrapper != Wrapper::Bare).then(|| self.wrapper.name())
    }

    /// What the addresses are.
    pub const fn sources(&self) -> SourceUse {
        self.sources
    }
}

/// Without blanks at its ends, and without a byte order mark.
fn clean(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

/// Whether the host's part is zero: the last octet, or all but the first 48 bits.
fn is_zeroed(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets()[3] == 0,
        IpAddr::V6(v6) => v6.segments()[3..].iter().all(|segment| *segment == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(source: &str, n: usize, more: &str) -> String {
        format!(
            "{source} - - [23/Nov/2026:09:00:{:02} +0000] \"GET /{n} HTTP/1.1\" 200 5 \"-\" \
             \"agent {}\"{more}\n",
            n % 60,
            n % 7
        )
    }

    fn log(line: impl Fn(usize) -> String) -> String {
        (0..40).map(line).collect()
    }

    fn sources(log: &str) -> Vec<LoggedSource> {
        let mut reader = LineReader::recognise(log.as_bytes(), None);
        let read = |line: &str| Some(reader.read(line.as_bytes()).ok()??.source);
        log.lines().filter_map(read).collect()
    }

    #[test]
    fn addresses_without_their_last_octet_are_hidden() {
        let zeroed = log(|n| combined(&format!("192.0.{n}.0"), n, ""));
        assert_eq!(sources(&zeroed), vec![LoggedSource::Hidden; 40]);
        let whole = log(|n| combined(&format!("192.0.2.{n}"), n, ""));
        assert!(!sources(&whole).contains(&LoggedSource::Hidden));
        let one = log(|n| combined("192.0.2.0", n, ""));
        assert!(!sources(&one).contains(&LoggedSource::Hidden), "one address proves nothing");
    }

    #[test]
    fn behind_a_proxy_forwarded_for_names_the_visitor() {
        for proxy in ["10.0.0.9", "203.0.113.9"] {
            let text = log(|n| combined(proxy, n, &format!(" \"198.51.100.{n}, 10.0.0.9\"")));
            let read = sources(&text);
            assert_eq!(read[7], LoggedSource::Address([198, 51, 100, 7].into()), "{proxy}");
        }
        let forged = log(|n| {
            let more = if n == 7 { " \"198.51.100.7\"" } else { " \"-\"" };
            combined(&format!("203.0.113.{n}"), n, more)
        });
        assert_eq!(sources(&forged)[7], LoggedSource::Address([203, 0, 113, 7].into()));
    }

    #[test]
    fn one_proxy_for_all_hides_the_visitors() {
        let text = log(|n| combined("10.0.0.9", n, ""));
        let reader = LineReader::recognise(text.as_bytes(), None);
        assert_eq!(reader.sources(), SourceUse::OneProxy);
        assert_eq!(sources(&text), vec![LoggedSource::Hidden; 40]);
    }

    #[test]
    fn a_format_given_is_not_guessed() {
        let text = log(|n| combined("192.0.2.7", n, ""));
        let json: LineFormat = "json".parse().expect("a name");
        let mut reader = LineReader::recognise(text.as_bytes(), Some(&json));
        assert_eq!(reader.format(), &json);
        assert!(reader.read(text.lines().next().expect("a line").as_bytes()).is_err());
    }
}

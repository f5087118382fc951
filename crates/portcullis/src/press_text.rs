//! The text of a press statement, from a file of the kinds that people write it in.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::read::DeflateDecoder;

/// Largest file that is read: a statement of a page with pictures.
const FILE_BYTES: u64 = 16 << 20;
/// Largest document inside a DOCX file, unpacked.
const DOCUMENT_BYTES: u64 = 8 << 20;

/// Reads plain text, Markdown, HTML or DOCX; `-` is standard input. The content decides, not the name.
pub fn read(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(FILE_BYTES).read_to_end(&mut bytes)
    } else {
        File::open(file)
            .with_context(|| format!("cannot read {}", file.display()))?
            .take(FILE_BYTES)
            .read_to_end(&mut bytes)
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    from_bytes(&bytes).with_context(|| format!("cannot read {}", file.display()))
}

fn from_bytes(bytes: &[u8]) -> Result<String> {
    if bytes.starts_with(b"PK") {
        let document = unzip(bytes, "word/document.xml")?;
        return Ok(word_text(&String::from_utf8_lossy(&document)));
    }
    let text = std::str::from_utf8(bytes)
        .context("it is neither UTF-8 text nor DOCX: save it as text, HTML or DOCX")?;
    let start = text.trim_start().get(..256).unwrap_or(text.trim_start()).to_lowercase();
    if start.starts_with('<')
        && ["<!doctype", "<html", "<p", "<body", "<div"].iter().any(|t| start.contains(t))
    {
        return Ok(html_text(text));
    }
    Ok(markdown_text(text))
}

/// Markdown without its marks. Plain text stays as it is.
fn markdown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim_end();
        let body = line.trim_start_matches(['#', '>']).trim_start();
        let is_heading = line.starts_with('#');
        let body = body.replace("**", "").replace("__", "");
        out += &link_texts(&body);
        out.push('\n');
        if is_heading {
            out.push('\n');
        }
    }
    out
}

/// `[text](address)` as `text`.
fn link_texts(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        let Some(middle) = rest[open..].find("](").map(|at| open + at) else { break };
        let Some(close) = rest[middle..].find(')').map(|at| middle + at) else { break };
        out += &rest[..open];
        out += &rest[open + 1..middle];
        rest = &rest[close + 1..];
    }
    out + rest
}

/// The text of HTML: scripts and styles are left out, and blocks are paragraphs.
fn html_text(html: &str) -> String {
    const BLOCKS: &[&str] = &[
        "p",
        "div",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "br",
        "tr",
        "section",
        "article",
        "blockquote",
        "title",
        "header",
        "footer",
        "ul",
        "ol",
        "td",
        "th",
    ];
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out += &unescape(&rest[..open].replace(['\n', '\r'], " "));
        let tag = &rest[open..];
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(close) = tag.find('>') else {
            rest = "";
            break;
        };
        let name: String = tag[1..close]
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .flat_map(char::to_lowercase)
            .collect();
        rest = &tag[close + 1..];
        if matches!(name.as_str(), "script" | "style") && !tag.starts_with("</") {
            let end = format!("</{name}");
            let found = rest.to_ascii_lowercase().find(&end);
            rest = found.map_or("", |at| &rest[at..]);
        } else if BLOCKS.contains(&name.as_str()) {
            out += "\n\n";
        }
    }
    out += &unescape(&rest.replace(['\n', '\r'], " "));
    out
}

/// The text of `WordprocessingML` (ISO/IEC 29500-1, 17.3): runs of text, and a paragraph for each `w:p`.
fn word_text(xml: &str) -> String {
    let mut out = String::new();
    let mut rest = xml;
    let mut in_text = false;
    while let Some(open) = rest.find('<') {
        if in_text {
            out += &unescape(&rest[..open]);
        }
        let Some(close) = rest[open..].find('>').map(|at| open + at) else { break };
        let tag = &rest[open + 1..close];
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or("");
        match (name, tag.starts_with('/')) {
            ("w:t", end) => in_text = !end && !tag.ends_with('/'),
            ("w:p", true) => out += "\n\n",
            ("w:br" | "w:cr", _) => out.push('\n'),
            ("w:tab", _) => out.push(' '),
            _ => {}
        }
        rest = &rest[close + 1..];
    }
    out
}

/// Character references of XML and the frequent ones of HTML.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        let after = &rest[at + 1..];
        let end = after.char_indices().take(10).find(|(_, c)| *c == ';').map(|(i, _)| i);
        let read = end.and_then(|end| Some((reference(&after[..end])?, end)));
        match read {
            Some((c, end)) => {
                out.push(c);
                rest = &after[end + 1..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "lsquo" => '\u{2018}',
        "rsquo" => '\u{2019}',
        "ldquo" => '\u{201c}',
        "rdquo" => '\u{201d}',
        "hellip" => '\u{2026}',
        "pound" => '\u{a3}',
        _ => return None,
    })
}

/// One file of a ZIP archive (PKWARE APPNOTE 6.3.10), found by the central directory at its end.
fn unzip(zip: &[u8], wanted: &str) -> Result<Vec<u8>> {
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = zip.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte)))
    };
    let broken = || anyhow::anyhow!("the archive is damaged: save the document again");
    // The comment behind the record has at most 65,535 bytes.
    let last = zip.len().saturating_sub(22);
    let end = (last.saturating_sub(65_535)..=last)
        .rev()
        .find(|at| zip.get(*at..*at + 4) == Some(b"PK\x05\x06"))
        .ok_or_else(broken)?;
    let entries = number(end + 10, 2).ok_or_else(broken)?;
    let mut at = number(end + 16, 4).ok_or_else(broken)?;
    for _ in 0..entries {
        let (method, size, name) = (number(at + 10, 2), number(at + 20, 4), number(at + 28, 2));
        let (extra, comment, header) = (number(at + 30, 2), number(at + 32, 2), number(at + 42, 4));
        let all = (|| Some((method?, size?, name?, extra?, comment?, header?)))();
        let (method, size, name, extra, comment, header) = all.ok_or_else(broken)?;
        if zip.get(at + 46..at + 46 + name) == Some(wanted.as_bytes()) {
            let lengths = number(header + 26, 2).zip(number(header + 28, 2));
            let (name, extra) = lengths.ok_or_else(broken)?;
            let start = header + 30 + name + extra;
            let packed = zip.get(start..start + size).ok_or_else(broken)?;
            return inflate(packed, method);
        }
        at += 46 + name + extra + comment;
    }
    bail!("it is an archive without {wanted}: only DOCX documents are read")
}

fn inflate(packed: &[u8], method: usize) -> Result<Vec<u8>> {
    match method {
        0 => Ok(packed.to_vec()),
        8 => {
            let mut out = Vec::new();
            DeflateDecoder::new(packed).take(DOCUMENT_BYTES).read_to_end(&mut out)?;
            Ok(out)
        }
        _ => bail!("the archive is packed in a way that is not read: save the document again"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A DOCX file with one paragraph, as word processors pack it.
    fn docx(paragraph: &str) -> Vec<u8> {
        let xml = format!(
            "<w:document><w:body><w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p></w:body></w:document>"
        );
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(xml.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let name = b"word/document.xml";
        let size = u32::try_from(packed.len()).unwrap().to_le_bytes();
        let long = u32::try_from(xml.len()).unwrap().to_le_bytes();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let mut zip = Vec::new();
        zip.extend(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        zip.extend(size.iter().chain(&long).chain(&length));
        zip.extend([0, 0]);
        zip.extend(name);
        zip.extend(&packed);
        let directory = zip.len();
        zip.extend(b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        zip.extend(size.iter().chain(&long).chain(&length));
        zip.extend([0; 16]);
        zip.extend(name);
        let length = zip.len() - directory;
        zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        zip.extend(u32::try_from(length).unwrap().to_le_bytes());
        zip.extend(u32::try_from(directory).unwrap().to_le_bytes());
        zip.extend([0, 0]);
        zip
    }

    #[test]
    fn a_word_document_is_read_paragraph_by_paragraph() {
        let text = from_bytes(&docx("We were attacked &amp; stayed up.")).unwrap();
        assert_eq!(text.trim(), "We were attacked & stayed up.");
    }

    #[test]
    fn a_damaged_archive_is_refused_and_never_read_beyond_its_end() {
        let whole = docx("We were attacked.");
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            let _ = from_bytes(&cut);
            cut.resize(whole.len(), 0xff);
            let _ = from_bytes(&cut);
        }
        assert!(from_bytes(b"PK\x05\x06").is_err());
    }

    #[test]
    fn html_loses_its_tags_and_scripts() {
        let html = "<!doctype html><title>News</title><script>var a = '<p>no</p>';</script>\
                    <p>We were <b>attacked</b>\n twice.</p><p>It&rsquo;s over.</p>";
        let text = from_bytes(html.as_bytes()).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert_eq!(lines, ["News", "We were attacked  twice.", "It\u{2019}s over."]);
    }

    #[test]
    fn markdown_loses_its_marks() {
        let text =
            from_bytes(b"# Statement\nWe were **attacked** by [a flood](http://a.example).\n")
                .unwrap();
        assert_eq!(text, "Statement\n\nWe were attacked by a flood.\n");
    }
}

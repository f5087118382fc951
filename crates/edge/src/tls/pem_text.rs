//! PEM files as people have them: with a byte order mark, Windows line ends, indentation, or the text
//! that `openssl` writes around its blocks.

use core::fmt::Write as _;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PemFault {
    /// The line, from 1.
    pub(crate) line: Option<usize>,
    /// What is wrong, and what to do, as a part of a sentence that begins with the file's name.
    pub(crate) problem: String,
}

impl PemFault {
    fn whole(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into() }
    }

    fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line: Some(line), problem: problem.into() }
    }
}

/// The blocks of a file in strict PEM (RFC 7468), without what is around them.
pub(crate) fn strict(bytes: &[u8]) -> Result<String, PemFault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(PemFault::whole("is saved as UTF-16. Save it as UTF-8 or plain ASCII"));
    }
    if bytes.starts_with(&[0x30, 0x82]) || bytes.starts_with(&[0x30, 0x81]) {
        return Err(PemFault::whole(
            "is in DER form. Convert it: openssl x509 -inform der -in FILE -out FILE.pem (or openssl pkey \
             for a key, openssl pkcs12 -nodes for a .p12 or .pfx file)",
        ));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut open: Option<(usize, String)> = None;
    let lines = text.split('\n').flat_map(|line| line.trim_end_matches('\r').split('\r'));
    for (number, line) in (1..).zip(lines) {
        let line = line.trim();
        if let Some(label) = label(line, "-----BEGIN ") {
            if let Some((begun, label)) = open {
                return Err(PemFault::at(
                    begun,
                    format!("has no -----END {label}----- for this block"),
                ));
            }
            refuse_block(number, label)?;
            open = Some((number, label.to_owned()));
            let _ = writeln!(out, "-----BEGIN {label}-----");
        } else if let Some(label) = label(line, "-----END ") {
            match open.take() {
                Some((_, begun)) if begun == label => {
                    let _ = writeln!(out, "-----END {label}-----");
                }
                _ => return Err(PemFault::at(number, "ends a block that does not begin")),
            }
        } else if open.is_some() {
            take_line(&mut out, number, line)?;
        }
    }
    match open {
        Some((begun, label)) => {
            Err(PemFault::at(begun, format!("has no -----END {label}----- for this block")))
        }
        None => Ok(out),
    }
}

fn label<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.strip_prefix(mark)?.strip_suffix("-----")
}

/// Blocks that cannot be used, with the way to one that can.
fn refuse_block(line: usize, label: &str) -> Result<(), PemFault> {
    let problem = match label {
        "ENCRYPTED PRIVATE KEY" => ENCRYPTED,
        "TRUSTED CERTIFICATE" => {
            "is in OpenSSL's trusted form. Convert it: openssl x509 -in FILE -out FILE.pem"
        }
        "PKCS7" => {
            "is in PKCS#7 form. Convert it: openssl pkcs7 -print_certs -in FILE -out FILE.pem"
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "is a request for a certificate. The authority sends the certificate back for it"
        }
        "DSA PRIVATE KEY" | "OPENSSH PRIVATE KEY" => {
            "is a key of a kind that browsers do not support. Use an RSA or P-256 key"
        }
        _ => return Ok(()),
    };
    Err(PemFault::at(line, problem))
}

const ENCRYPTED: &str = "is encrypted with a passphrase. Decrypt it: openssl pkey -in FILE -out FILE.key, and chmod 600 \
                         FILE.key";

fn take_line(out: &mut String, number: usize, line: &str) -> Result<(), PemFault> {
    if line.contains(": ") || line.ends_with(':') {
        // The headers of RFC 1421: only encryption has some.
        return if line.contains("ENCRYPTED") || line.starts_with("DEK-Info") {
            Err(PemFault::at(number, ENCRYPTED))
        } else {
            Ok(())
        };
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if let Some(other) = line.bytes().find(|byte| !is_base64(*byte)) {
        let shown = char::from(other).escape_default();
        return Err(PemFault::at(number, format!("has a character that is not base64: {shown}")));
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn what_editors_and_openssl_add_is_taken_away() {
        for text in [
            BLOCK.to_owned(),
            format!("\u{feff}{BLOCK}"),
            BLOCK.replace('\n', "\r\n"),
            BLOCK.replace('\n', "\r"),
            BLOCK.replace('\n', "\n\n"),
            format!("  {}", BLOCK.replace('\n', "  \n\t")),
            format!("Bag Attributes\n    friendlyName: site\nsubject=CN = a\n\n{BLOCK}trailing\n"),
        ] {
            assert_eq!(strict(text.as_bytes()).as_deref(), Ok(BLOCK), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_names_its_line_and_the_remedy() {
        let fault = |text: &str| {
            let fault = strict(text.as_bytes()).unwrap_err();
            (fault.line, fault.problem)
        };
        let (line, problem) = fault("\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
        assert!(line == Some(2) && problem.contains("openssl pkey"));
        let (line, problem) =
            fault("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n");
        assert!(line == Some(2) && problem.contains("passphrase"));
        assert_eq!(fault(&BLOCK.replace("AAAA", "AA?A")).0, Some(3));
        assert_eq!(fault(&BLOCK.replace("-----END CERTIFICATE-----\n", "")).0, Some(1));
        assert_eq!(fault("a\n-----END CERTIFICATE-----\n").0, Some(2));
        assert!(strict(b"\xff\xfeA\0").unwrap_err().problem.contains("UTF-16"));
        assert!(strict(b"\x30\x82\x01\x02").unwrap_err().problem.contains("-inform der"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = strict(&bytes);
        }
    }
}

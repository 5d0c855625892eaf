//! What a check asks: a target, as an option names it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::core::number::parse_number;
use crate::core::signal::is_alike;

/// How frigate learns whether a service is well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// frigate asks, again and again.
    Asked(Question),
    /// The child sends messages by itself (`sd_notify(3)`).
    Notify,
}

/// What a check asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// A server of HTTP. Its status line is read.
    Http {
        address: Address,
        /// The host and port as they were typed, for the request's `Host` header.
        authority: String,
        /// With the query, if there is one. It is empty, or begins with `/` or `?`.
        path: String,
    },
    /// A server to which a connection is made.
    Tcp(Address),
    /// A stream socket, by its path.
    Unix(String),
    /// A file that is modified again and again, by its path.
    File(String),
    /// A program and its arguments.
    Exec(Vec<Vec<u8>>),
}

/// Where a server listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// A host that needs no look-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    /// Both loopback addresses, 127.0.0.1 first. A check that takes `::1` first fails if the server
    /// listens on IPv4 alone, as most do.
    Localhost,
    Literal(IpAddr),
}

const KINDS: &str = "expected http://HOST[:PORT][/PATH], tcp://HOST:PORT, unix:PATH, file:PATH, exec:WORDS or notify";
const TLS: &str =
    "frigate speaks no TLS; give http:// instead, or exec: with a program that speaks it";
const NAME: &str = "its host is no address and not localhost, and frigate looks up no names; expected one such as \
                    127.0.0.1, [::1] or localhost";
const BRACKETS: &str = "its host has no brackets; expected an IPv6 address such as [::1]:8080";
const NO_PORT: &str = "it names no port; expected one such as tcp://localhost:5432";
const PORT: &str = "its port is no number from 1 to 65535";
const PATH: &str =
    "its path has a blank, a '#' or a character that is not ASCII; write it as %20 and the like";
const SOCKET: &str = "expected the path of a socket, in at most 107 bytes";
const FILE: &str = "expected the path of a file, in at most 4095 bytes";
const RELATIVE: &str = "its path does not begin with '/'";
const NO_PROGRAM: &str = "it names no program";
const OPEN_QUOTE: &str = "a quotation mark is not closed";
const LAST_BACKSLASH: &str = "nothing follows its last backslash";
const NULL_BYTE: &str = "it has a null byte";

/// The longest path of a socket: `sun_path` with the null byte behind it (`unix(7)`).
const SOCKET_PATH_BYTES: usize = 107;

/// The longest path: `PATH_MAX` without the null byte behind it.
const FILE_PATH_BYTES: usize = 4095;

impl Target {
    /// Parses a target.
    ///
    /// # Errors
    ///
    /// Why it is none, and what is accepted.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('\0') {
            return Err(NULL_BYTE);
        }
        if text == "notify" {
            return Ok(Self::Notify);
        }
        let (kind, rest) = text.split_once(':').ok_or(KINDS)?;
        let question = match (kind, rest.strip_prefix("//")) {
            ("http", Some(rest)) => parse_http(rest)?,
            ("https", _) => return Err(TLS),
            ("tcp", Some(rest)) => {
                let (host, port) = parse_authority(rest)?;
                let port = port.ok_or(NO_PORT)?;
                Question::Tcp(Address { host, port })
            }
            ("unix", _) => Question::Unix(parse_path(rest, SOCKET_PATH_BYTES, SOCKET)?),
            ("file", _) => Question::File(parse_path(rest, FILE_PATH_BYTES, FILE)?),
            ("exec", _) => Question::Exec(parse_words(rest)?),
            (_, _) => return Err(KINDS),
        };
        Ok(Self::Asked(question))
    }

    /// Parses what is asked about a child. A relative path is refused: it would be another one for
    /// the child, which may have another directory or root.
    ///
    /// # Errors
    ///
    /// Why it is none, and what is accepted.
    pub(crate) fn parse_for_child(text: &str) -> Result<Self, &'static str> {
        let target = Self::parse(text)?;
        match &target {
            Self::Asked(Question::Unix(path) | Question::File(path)) if !path.starts_with('/') => {
                Err(RELATIVE)
            }
            Self::Asked(_) | Self::Notify => Ok(target),
        }
    }
}

/// Splits a text before the first byte that is one of `ends`.
fn split_before<'a>(text: &'a str, ends: &[u8]) -> (&'a str, &'a str) {
    let end = text.bytes().position(|byte| ends.contains(&byte));
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or_default()
}

fn parse_http(rest: &str) -> Result<Question, &'static str> {
    let (authority, path) = split_before(rest, b"/?#");
    // Anything else could end the line of the request, and begin another one.
    if path
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || byte == b'#')
    {
        return Err(PATH);
    }
    let (host, port) = parse_authority(authority)?;
    let port = port.unwrap_or(80);
    Ok(Question::Http {
        address: Address { host, port },
        authority: authority.to_owned(),
        path: path.to_owned(),
    })
}

/// Parses `HOST` or `HOST:PORT`.
fn parse_authority(text: &str) -> Result<(Host, Option<u16>), &'static str> {
    let (host, rest) = if let Some(text) = text.strip_prefix('[') {
        let (address, rest) = text.split_once(']').ok_or(NAME)?;
        let address = parse_ipv6(address).ok_or(NAME)?;
        (Host::Literal(IpAddr::V6(address)), rest)
    } else {
        let (host, rest) = split_before(text, b":");
        if rest.bytes().filter(|byte| *byte == b':').count() > 1 {
            return Err(BRACKETS);
        }
        let host = if is_alike(host, "localhost") {
            Host::Localhost
        } else {
            Host::Literal(IpAddr::V4(parse_ipv4(host).ok_or(NAME)?))
        };
        (host, rest)
    };
    if rest.is_empty() {
        return Ok((host, None));
    }
    let port = rest.strip_prefix(':').and_then(parse_number);
    let port = port.filter(|port| *port > 0).ok_or(PORT)?;
    Ok((host, Some(port)))
}

/// Parses four numbers. The standard library's parsers of addresses have 2 KiB together.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut rest = text.split('.');
    let mut octets = [0; 4];
    for octet in &mut octets {
        let digits = rest.next()?;
        // A number that begins with 0 is octal to some programs.
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        *octet = parse_number(digits)?;
    }
    rest.next().is_none().then(|| octets.into())
}

/// Parses eight groups of hexadecimal digits, or fewer around `::` (RFC 4291, section 2.2). The
/// last two may be written as an IPv4 address.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let mut bytes = [0; 16];
    let mut length = 0;
    // Where `::` stands.
    let mut gap = None;
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix("::") {
            if gap.replace(length).is_some() {
                return None;
            }
            rest = behind;
        } else if length > 0 && gap != Some(length) {
            rest = rest.strip_prefix(':')?;
        }
        let (group, behind) = split_before(rest, b":");
        if group.is_empty() && behind.is_empty() && gap == Some(length) {
            break;
        }
        let mut add = |octets: &[u8]| {
            bytes
                .get_mut(length..)?
                .get_mut(..octets.len())?
                .copy_from_slice(octets);
            length += octets.len();
            Some(())
        };
        if behind.is_empty() && group.contains('.') {
            add(&parse_ipv4(group)?.octets())?;
        } else {
            add(&parse_group(group)?.to_be_bytes())?;
        }
        rest = behind;
    }
    match gap {
        // It stands for one group at least.
        Some(gap) if length < 15 => {
            for at in (gap..length).rev() {
                bytes.swap(at, at + 16 - length);
            }
        }
        Some(_) => return None,
        None if length < 16 => return None,
        None => {}
    }
    Some(bytes.into())
}

fn parse_group(digits: &str) -> Option<u16> {
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    let mut value = 0;
    for digit in digits.chars() {
        value = value << 4 | u16::try_from(digit.to_digit(16)?).ok()?;
    }
    Some(value)
}

fn parse_path(text: &str, longest: usize, accepted: &'static str) -> Result<String, &'static str> {
    if (1..=longest).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(accepted)
    }
}

/// Parses a program and its arguments.
fn parse_words(text: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let words = split(text.as_bytes())?;
    if words.first().is_none_or(Vec::is_empty) {
        return Err(NO_PROGRAM);
    }
    Ok(words)
}

/// Splits words at blanks, with quotation marks and backslashes as a shell has them, but without
/// expansions.
fn split(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut words = Vec::new();
    // `None` means that no word has begun. A word may be empty: ''.
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let literal = match (quote, byte) {
            (None, b' ' | b'\t' | b'\n') => {
                words.extend(word.take());
                continue;
            }
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
                continue;
            }
            (Some(mark), _) if mark == byte => {
                quote = None;
                continue;
            }
            (None, b'\\') => *rest.next().ok_or(LAST_BACKSLASH)?,
            // Before any other byte, a backslash between quotation marks stands for itself.
            (Some(b'"'), b'\\') => match rest.as_slice().first() {
                Some(next @ (b'"' | b'\\' | b'$' | b'`')) => {
                    rest.next();
                    *next
                }
                Some(_) | None => byte,
            },
            (Some(_) | None, _) => byte,
        };
        word.get_or_insert_default().push(literal);
    }
    if quote.is_some() {
        return Err(OPEN_QUOTE);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;

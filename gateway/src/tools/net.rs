//! Names to addresses, what a failed socket means, and randomness for ids.
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::exit::Exit;
use crate::tools::ToolError;

/// The addresses of a host, IPv4 first: a gateway without IPv6 is more usual than one without IPv4.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ToolError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let mut found: Vec<SocketAddr> = match (bare, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => {
            return Err(ToolError::new(
                Exit::Unreachable,
                format!("{host} is no known host: {error}"),
                "an address such as 127.0.0.1 with -h",
            ));
        }
    };
    found.sort_by_key(SocketAddr::is_ipv6);
    if found.is_empty() {
        return Err(ToolError::new(
            Exit::Unreachable,
            format!("{host} has no address"),
            "another host with -h",
        ));
    }
    Ok(found)
}

/// What a socket's error means for the user.
pub(crate) fn unreachable(what: &str, at: &str, error: &io::Error) -> ToolError {
    let advice = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "is the gateway running? `turnstone run` starts it; -h HOST and -p PORT name another".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "a firewall forbids it; -h HOST and -p PORT name another gateway".to_owned()
        }
        _ => "-h HOST and -p PORT of a gateway that can be reached".to_owned(),
    };
    let exit = if error.kind() == io::ErrorKind::TimedOut { Exit::Timeout } else { Exit::Unreachable };
    ToolError::new(exit, format!("cannot reach {what} at {at}: {}", plain(error)), advice)
}

/// The system's text without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((plain, _)) => plain.to_lowercase(),
        None => text,
    }
}

/// Whether a read has only run into its time limit.
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Unpredictable, from the standard library's own source of random keys.
pub(crate) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// A name that no other client has.
pub(crate) fn random_id(prefix: &str) -> String {
    format!("{prefix}{:012x}", random() & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_name_service() {
        assert_eq!(resolve("127.0.0.1", 7).expect("an address"), ["127.0.0.1:7".parse().expect("one")]);
        assert_eq!(resolve("[::1]", 7).expect("an address"), ["[::1]:7".parse().expect("one")]);
    }

    #[test]
    fn a_refused_connection_says_what_to_do() {
        let error = unreachable("the broker", "h:1", &io::Error::from_raw_os_error(libc::ECONNREFUSED));
        assert_eq!(error.exit, Exit::Unreachable);
        assert_eq!(
            error.to_string(),
            "error: cannot reach the broker at h:1: connection refused; try: is the gateway running? `turnstone run` \
             starts it; -h HOST and -p PORT name another"
        );
    }
}

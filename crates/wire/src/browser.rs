//! Which requests a browser may have sent for a page of another site, told by their headers.
//!
//! The older systems have no credentials, so that a page that a person happens to read must not be
//! able to use them: a foreign `Host` is a name that was made to resolve to this machine (DNS
//! rebinding), a foreign `Origin` speaks for itself. Pure text.

use std::net::{IpAddr, SocketAddr};

/// Origins that may use an adapter unless other ones are set: pages of this machine.
pub const ORIGINS: [&str; 2] = ["http://localhost:*", "http://127.0.0.1:*"];

/// Whether `host`, the header or the authority of a request, is the address `own` itself or a name
/// that can only mean this machine. Any port: it may be forwarded.
pub fn is_own_host(host: &str, own: SocketAddr) -> bool {
    let name = without_port(host);
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address == own.ip())
}

/// Whether `origin` is one of `allowed`; an allowed one that ends in `:*` has any port, or none.
pub fn is_allowed_origin<'a>(origin: &str, allowed: impl IntoIterator<Item = &'a str>) -> bool {
    allowed.into_iter().any(|pattern| {
        let Some(site) = pattern.strip_suffix(":*") else {
            return origin.eq_ignore_ascii_case(pattern);
        };
        let Some((head, rest)) = origin.split_at_checked(site.len()) else {
            return false;
        };
        let is_port = |rest: &str| {
            rest.strip_prefix(':')
                .is_some_and(|port| port.parse::<u16>().is_ok())
        };
        head.eq_ignore_ascii_case(site) && (rest.is_empty() || is_port(rest))
    })
}

/// The name of a `Host`: without its port, and without the brackets of an IPv6 address.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || port.starts_with(':') => name,
            _ => "",
        };
    }
    match host.split_once(':') {
        // An address of version 6 has brackets in a `Host` (RFC 3986, section 3.2.2).
        Some((_, port)) if port.contains(':') => "",
        Some((name, _)) => name,
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_its_own_address_or_a_name_of_this_machine() {
        let own = "10.0.0.7:5001".parse().unwrap();
        for host in [
            "localhost",
            "LocalHost:5001",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:5001",
            "10.0.0.7:5001",
            "10.0.0.7",
        ] {
            assert!(is_own_host(host, own), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.8:5001",
            "::1",
            "[::1",
            "[::1]x",
            "localhost:80:80",
        ] {
            assert!(!is_own_host(host, own), "{host}");
        }
    }

    #[test]
    fn an_origin_is_allowed_with_its_port_or_with_any() {
        let allowed = |origin| is_allowed_origin(origin, ORIGINS);
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
        ] {
            assert!(allowed(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://localhost:3000",
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://127.0.0.1:99999",
            "http://evil.example",
            "http://localhosté",
        ] {
            assert!(!allowed(origin), "{origin}");
        }
        let one = ["https://aula.example"];
        assert!(is_allowed_origin("https://aula.example", one));
        assert!(!is_allowed_origin("https://aula.example:8443", one));
    }
}

//! Which addresses a receipt may go to: those of the public internet, and what the operator allows.
//! Whoever may make an endpoint could else read what only this machine reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use reqwest::Url;

const URL_BYTES_MAX: usize = 2_048;

/// Why a URL or an address will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a URL has at most {URL_BYTES_MAX} bytes")]
    Long,
    #[error("this is no URL")]
    Malformed,
    #[error("a URL begins with http:// or https://")]
    Scheme,
    #[error("a URL with a user or password in it")]
    Credentials,
    #[error("{0} is not called: {1}")]
    Address(IpAddr, &'static str),
}

/// A URL that a receipt may name. Where it leads is seen when it is called.
pub fn parse_url(text: &str) -> Result<Url, Refusal> {
    if text.len() > URL_BYTES_MAX {
        return Err(Refusal::Long);
    }
    let url = Url::parse(text).map_err(|_| Refusal::Malformed)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Credentials);
    }
    // An http URL always has one; an empty one does not parse.
    url.has_host().then_some(()).ok_or(Refusal::Malformed)?;
    Ok(url)
}

/// The address, when the host is one in whatever notation: the parser has made it canonical.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether an address may be called.
pub(crate) fn check(address: IpAddr, allow: &[IpNet]) -> Result<(), Refusal> {
    let embedded = embedded(address);
    let is_allowed = |address: &IpAddr| allow.iter().any(|net| net.contains(address));
    if is_allowed(&address) || embedded.as_ref().is_some_and(is_allowed) {
        return Ok(());
    }
    match embedded {
        Some(inner) => refused(inner).map_or(Ok(()), |why| Err(Refusal::Address(address, why))),
        None => refused(address).map_or(Ok(()), |why| Err(Refusal::Address(address, why))),
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, 6to4, NAT64.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let octets = address.octets();
    let at = |from: usize| {
        IpAddr::V4(Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]))
    };
    let is_short = octets[..12] == [0; 12];
    match address.segments() {
        _ if is_short && address != Ipv6Addr::UNSPECIFIED && address != Ipv6Addr::LOCALHOST => Some(at(12)),
        [0, 0, 0, 0, 0, 0xffff, ..] => Some(at(12)),
        [0x2002, ..] => Some(at(2)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(at(12)),
        _ => None,
    }
}

/// After the registries of special-purpose addresses (RFC 6890).
const REFUSED: &[(&str, &str)] = &[
    ("0.0.0.0/8", "it means this machine"),
    ("10.0.0.0/8", "it is private"),
    ("100.64.0.0/10", "it is a provider's own"),
    ("127.0.0.0/8", "it is loopback"),
    ("169.254.0.0/16", "it is link-local, where clouds keep credentials"),
    ("172.16.0.0/12", "it is private"),
    ("192.0.0.0/24", "it is reserved"),
    ("192.0.2.0/24", "it is for documentation"),
    ("192.88.99.0/24", "it is a relay"),
    ("192.168.0.0/16", "it is private"),
    ("198.18.0.0/15", "it is for benchmarks"),
    ("198.51.100.0/24", "it is for documentation"),
    ("203.0.113.0/24", "it is for documentation"),
    ("224.0.0.0/4", "it is multicast"),
    ("240.0.0.0/4", "it is reserved"),
    ("::/128", "it means this machine"),
    ("::1/128", "it is loopback"),
    ("64:ff9b:1::/48", "it translates to private addresses"),
    ("2001::/23", "it is a tunnel or reserved"),
    ("2001:db8::/32", "it is for documentation"),
    ("3fff::/20", "it is for documentation"),
    ("fc00::/7", "it is private, where clouds keep credentials"),
    ("fe80::/10", "it is link-local"),
    ("fec0::/10", "it is private"),
    ("ff00::/8", "it is multicast"),
];

/// All of IPv6 that is given to anybody.
const GLOBAL_V6: &str = "2000::/3";

fn refused(address: IpAddr) -> Option<&'static str> {
    static NETS: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
        // One that did not parse would be missing: a test counts them.
        REFUSED.iter().filter_map(|(net, why)| Some((net.parse().ok()?, *why))).collect()
    });
    static GLOBAL: LazyLock<Option<IpNet>> = LazyLock::new(|| GLOBAL_V6.parse().ok());
    let listed = NETS.iter().find(|(net, _)| net.contains(&address)).map(|(_, why)| *why);
    let is_global = address.is_ipv4() || GLOBAL.is_some_and(|net| net.contains(&address));
    listed.or_else(|| (!is_global).then_some("it is reserved"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(address: &str, allow: &[&str]) -> bool {
        let allow: Vec<IpNet> = allow.iter().map(|net| net.parse().unwrap()).collect();
        check(address.parse().unwrap(), &allow).is_ok()
    }

    #[test]
    fn the_whole_table_parses() {
        assert!(REFUSED.iter().all(|(net, _)| net.parse::<IpNet>().is_ok()));
        assert!(GLOBAL_V6.parse::<IpNet>().is_ok());
    }

    #[test]
    fn the_public_internet_is_called() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(verdict(address, &[]), "{address}");
        }
    }

    #[test]
    fn what_only_this_machine_or_its_network_reaches_is_not_called() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::",
            "::1",
            "fd00:ec2::254",
            "fc00::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
            "4000::1",
            "5f00::1",
            // IPv4 in other clothes.
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:0",
            "::127.0.0.1",
            "::10.0.0.1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2002:a00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
        ] {
            assert!(!verdict(address, &[]), "{address}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_called_and_nothing_beside_it() {
        assert!(verdict("127.0.0.1", &["127.0.0.0/8"]));
        assert!(verdict("::ffff:127.0.0.1", &["127.0.0.0/8"]), "the same machine");
        assert!(!verdict("::1", &["127.0.0.0/8"]));
        assert!(verdict("10.1.2.3", &["10.1.0.0/16"]) && !verdict("10.2.0.1", &["10.1.0.0/16"]));
        assert!(verdict("fd00::1", &["fd00::/8"]));
    }

    #[test]
    fn a_url_is_http_without_credentials() {
        for good in
            ["http://example.com", "https://example.com:8443/a?b=c", "http://[::1]/", "HTTPS://EXAMPLE.COM"]
        {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        let long = format!("http://example.com/{}", "a".repeat(2_048));
        for (wrong, refusal) in [
            ("", Refusal::Malformed),
            ("example.com/hook", Refusal::Malformed),
            ("http://", Refusal::Malformed),
            ("ftp://example.com", Refusal::Scheme),
            ("file:///etc/passwd", Refusal::Scheme),
            ("gopher://example.com", Refusal::Scheme),
            ("http://user@example.com", Refusal::Credentials),
            ("http://:secret@example.com", Refusal::Credentials),
            (&*long, Refusal::Long),
        ] {
            assert_eq!(parse_url(wrong).unwrap_err(), refusal, "{wrong}");
        }
    }

    #[test]
    fn an_address_in_whatever_notation_is_read_as_what_it_is() {
        for (url, address) in [
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://127.1:80/", "127.0.0.1"),
            ("http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
            ("http://[::ffff:7f00:1]/", "::ffff:127.0.0.1"),
            ("http://①②⑦.0.0.1/", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
        ] {
            assert_eq!(literal(&parse_url(url).unwrap()), Some(address.parse().unwrap()), "{url}");
        }
        assert_eq!(literal(&parse_url("http://localhost/").unwrap()), None, "a name, to be resolved");
    }
}

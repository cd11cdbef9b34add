//! What becomes of a token, told by its beginning.

use std::time::Duration;

/// Of one token. A simulator makes of it what its vendor would say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// `ok-…`, and whatever begins otherwise.
    Accepted,
    /// `dead-…`: unregistered.
    Dead,
    /// `flaky-3-…`: the vendor's passing fault so many times, then accepted.
    Flaky(u32),
    /// `slow-500-…`: accepted after so many milliseconds; for a batch the slowest counts.
    Slow(Duration),
    /// `throttle-2-…`: too fast, so many times, then accepted.
    Throttled(u32),
    /// `quota-…`: the day's quota of the device or the app, as the vendor has it.
    Quota,
    /// `bad-…`: this message is wrong.
    Bad,
    /// `config-…`: as if the app had no right to send to it.
    Config,
    /// `down-2-…`: HTTP 500 or its like, so many times, then accepted.
    Down(u32),
    /// `html-2-…`: a 502 with a page of HTML, so many times, then accepted.
    Html(u32),
    /// `garbage-2-…`: 200 and a body that is cut or none of the vendor's, so many times, then
    /// accepted.
    Garbage(u32),
    /// `silent-1-…`: taken, and never answered, so many times; then answered.
    Silent(u32),
    /// `cut-1-…`: taken, and the connection cut, so many times; then answered.
    Cut(u32),
}

/// Without a number where one may stand: once.
#[must_use]
pub fn fate_of(token: &str) -> Fate {
    let mut parts = token.split('-');
    let name = parts.next().unwrap_or_default();
    let number = parts.next().and_then(|text| text.parse::<u32>().ok());
    let times = number.unwrap_or(1);
    match name {
        "dead" => Fate::Dead,
        "flaky" => Fate::Flaky(times),
        "slow" => Fate::Slow(Duration::from_millis(u64::from(number.unwrap_or(500)))),
        "throttle" => Fate::Throttled(times),
        "quota" => Fate::Quota,
        "bad" => Fate::Bad,
        "config" => Fate::Config,
        "down" => Fate::Down(times),
        "html" => Fate::Html(times),
        "garbage" => Fate::Garbage(times),
        "silent" => Fate::Silent(times),
        "cut" => Fate::Cut(times),
        _ => Fate::Accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_beginning_is_its_fate() {
        for (token, fate) in [
            ("ok-1", Fate::Accepted),
            ("00fc13ad", Fate::Accepted),
            ("deadbeef", Fate::Accepted),
            ("dead-7", Fate::Dead),
            ("flaky-3-x", Fate::Flaky(3)),
            ("flaky-x", Fate::Flaky(1)),
            ("slow-20-x", Fate::Slow(Duration::from_millis(20))),
            ("silent-2-x", Fate::Silent(2)),
        ] {
            assert_eq!(fate_of(token), fate, "{token}");
        }
    }
}

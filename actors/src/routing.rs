//! Which road a message takes to a device. Pure: what is known goes in, the road and the reason
//! come out, and both are recorded.
//!
//! | the app's or the push's `route` | the device has a token of a vendor set up | it has none |
//! |---|---|---|
//! | `vendor_first` | the vendor, at once | own |
//! | `online_first` | own while a session is open, and the vendor when nobody acked within [`PATIENCE`]; else the vendor, at once | own |
//! | `vendor_after` | own; the vendor after so many seconds without an ack, and while no session is open | own |
//! | `own_only` | own | own |
//!
//! mPaaS's `transparent` is `own_only`. A push with `ttl: 0` never leaves our own road: it is for who
//! is connected now. Of a message one road at a time may carry; the other has to wait.

use carillon_sdk::{Fallback, Route, Ttl, Vendor};

use crate::channel::Options;
use crate::settings::Routing;
use crate::store::history::Reason;

/// So long a session that was open has to ack before its vendor is asked: twice the usual ack
/// timeout, after which the session would have sent it again.
pub(crate) const PATIENCE: Ttl = Ttl::from_secs(30);

/// What is wished of a message: by itself, else by its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) route: Route,
    pub(crate) after: Ttl,
    pub(crate) fallback: Fallback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    Own(Reason),
    /// The vendor's and no other, from now on.
    Vendor(Vendor, Reason),
    /// Our own first, the vendor's after so long.
    Later(Vendor, Wait, Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) after: Ttl,
    /// Not while a session is open: it waits on.
    pub(crate) unless_online: bool,
}

impl Wish {
    #[must_use]
    pub(crate) fn of(routing: &Routing, options: &Options) -> Self {
        Self {
            route: options.route.unwrap_or(routing.route),
            after: Ttl::from_secs(options.vendor_after_s.unwrap_or(routing.vendor_after_s)),
            fallback: options.fallback.unwrap_or(routing.fallback),
        }
    }

    /// `carrier` is the vendor for which the device has a token and the app a setup.
    #[must_use]
    pub(crate) fn road(&self, carrier: Vendor, is_online: bool) -> Road {
        match (self.route, is_online) {
            (Route::OwnOnly, _) => Road::Own(Reason::OwnOnly),
            (Route::VendorFirst, _) => Road::Vendor(carrier, Reason::VendorFirst),
            (Route::OnlineFirst, false) => Road::Vendor(carrier, Reason::Unconnected),
            (Route::OnlineFirst, true) => {
                Road::Later(carrier, Wait { after: PATIENCE, unless_online: false }, Reason::Online)
            }
            (Route::VendorAfter, is_online) => {
                let reason = if is_online { Reason::Online } else { Reason::Unconnected };
                Road::Later(carrier, Wait { after: self.after, unless_online: true }, reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(route: Route) -> Wish {
        Wish { route, after: Ttl::from_secs(5), fallback: Fallback::Own }
    }

    #[test]
    fn every_route_says_which_road_and_why() {
        let road = |route, online| wish(route).road(Vendor::Fcm, online);
        let later = |after, unless_online| Wait { after: Ttl::from_secs(after), unless_online };
        for (route, online, expected) in [
            (Route::VendorFirst, true, Road::Vendor(Vendor::Fcm, Reason::VendorFirst)),
            (Route::VendorFirst, false, Road::Vendor(Vendor::Fcm, Reason::VendorFirst)),
            (Route::OnlineFirst, true, Road::Later(Vendor::Fcm, later(30, false), Reason::Online)),
            (Route::OnlineFirst, false, Road::Vendor(Vendor::Fcm, Reason::Unconnected)),
            (Route::VendorAfter, true, Road::Later(Vendor::Fcm, later(5, true), Reason::Online)),
            (Route::VendorAfter, false, Road::Later(Vendor::Fcm, later(5, true), Reason::Unconnected)),
            (Route::OwnOnly, true, Road::Own(Reason::OwnOnly)),
            (Route::OwnOnly, false, Road::Own(Reason::OwnOnly)),
        ] {
            assert_eq!(road(route, online), expected, "{route:?}, online {online}");
        }
    }

    #[test]
    fn a_messages_own_wish_goes_before_its_apps() {
        let routing = Routing { route: Route::OwnOnly, vendor_after_s: 30, fallback: Fallback::Own };
        assert_eq!(Wish::of(&routing, &Options::default()).route, Route::OwnOnly);
        let options = Options {
            route: Some(Route::VendorAfter),
            vendor_after_s: Some(7),
            fallback: Some(Fallback::None),
            ..Options::default()
        };
        let wish = Wish::of(&routing, &options);
        assert_eq!(
            wish,
            Wish { route: Route::VendorAfter, after: Ttl::from_secs(7), fallback: Fallback::None }
        );
    }
}

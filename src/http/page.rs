//! Pages: a limit, and a cursor that means something to nobody but us.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Code, Refused};

/// Rows on a page when the caller says nothing, and at most.
pub(super) const LIMIT_DEFAULT: usize = 100;
pub(super) const LIMIT_MAX: usize = 1_000;

/// The query of everything that comes in pages.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows on this page; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What a cursor continues; one kind's cursor is no other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Devices,
    Targets,
    Templates,
    Schedules,
    Runs,
    Campaigns,
    Lists,
    Tasks,
    Tags,
}

impl Kind {
    const fn mark(self) -> char {
        match self {
            Self::Devices => 'd',
            Self::Targets => 't',
            Self::Templates => 'm',
            Self::Schedules => 's',
            Self::Runs => 'r',
            Self::Campaigns => 'c',
            Self::Lists => 'l',
            Self::Tasks => 'k',
            Self::Tags => 'g',
        }
    }
}

impl PageQuery {
    pub(super) fn limit(&self) -> Result<usize, Refused> {
        match self.limit {
            None => Ok(LIMIT_DEFAULT),
            Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
            Some(_) => Err(Refused::because(Code::QueryInvalid, format!("limit is 1 to {LIMIT_MAX}"))),
        }
    }

    /// Where to go on, in the words it was made of.
    pub(super) fn place(&self, kind: Kind) -> Result<Option<String>, Refused> {
        self.cursor.as_deref().map(|cursor| place(cursor, kind)).transpose()
    }
}

/// What a cursor of this kind was made of.
pub(super) fn place(cursor: &str, kind: Kind) -> Result<String, Refused> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        text.strip_prefix(kind.mark()).map(str::to_owned)
    };
    read().ok_or(Refused::new(Code::CursorInvalid))
}

/// A cursor that goes on at `place`.
pub(super) fn cursor(kind: Kind, place: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{place}", kind.mark()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_made() {
        let query = PageQuery { cursor: Some(cursor(Kind::Devices, "42")), limit: None };
        assert_eq!(query.place(Kind::Devices).unwrap().as_deref(), Some("42"));
        assert_eq!(query.place(Kind::Targets).unwrap_err().code(), Code::CursorInvalid);
    }

    #[test]
    fn nonsense_is_no_cursor() {
        for text in ["", "nonsense", "ZA==", "%"] {
            let query = PageQuery { cursor: Some(text.to_owned()), limit: None };
            assert_eq!(query.place(Kind::Devices).unwrap_err().code(), Code::CursorInvalid, "{text}");
        }
    }

    #[test]
    fn a_page_has_one_to_a_thousand_rows() {
        let limit = |limit| PageQuery { cursor: None, limit }.limit();
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        for wrong in [0, 1001] {
            assert_eq!(limit(Some(wrong)).unwrap_err().code(), Code::QueryInvalid);
        }
    }
}

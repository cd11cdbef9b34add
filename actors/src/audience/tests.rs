//! The language, by examples and by its law: what is written back reads as what it was.

use carillon_sdk::api::Platform;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_500);
const DAY: u64 = 86_400_000;

fn parse(text: &str) -> Audience {
    Audience::parse(text, NOW).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn is(fact: Fact) -> Audience {
    Audience::Is(fact)
}

fn not(part: Audience) -> Audience {
    Audience::Not(Box::new(part))
}

fn ago(days: u64) -> Timestamp {
    Timestamp::from_millis((NOW.as_millis() - days * DAY) / 1000 * 1000)
}

#[test]
fn an_audience_reads_as_people_write_it() {
    let (android, ios) = (is(Fact::Platform(Platform::Android)), is(Fact::Platform(Platform::Ios)));
    let version = |compare, text: &str| is(Fact::Version(compare, text.to_owned()));
    let tag = |name: &str| is(Fact::Tag(name.to_owned()));
    let user_tag = |name: &str| is(Fact::UserTag(name.to_owned()));
    for (text, meant) in [
        ("everybody", Audience::Everybody),
        ("platform = android", android.clone()),
        ("OS == Android", android.clone()),
        ("platform in (android, ios)", Audience::Any(vec![android.clone(), ios.clone()])),
        ("not platform = ios", not(ios.clone())),
        ("platform != ios", not(ios)),
        ("app_version < 2.10", version(Compare::Less, "2.10")),
        ("version >= \"2.10 (77)\"", version(Compare::GreaterOrEqual, "2.10 (77)")),
        ("maker = Nokia", is(Fact::Maker("Nokia".to_owned()))),
        ("channel = own", is(Fact::Channel("own".to_owned()))),
        ("locale = zh-CN", is(Fact::Locale("zh-CN".to_owned()))),
        ("tag = 会员", tag("会员")),
        ("tag = 'and'", tag("and")),
        (
            "user-tag not in (gold, \"sil\\\"ver\")",
            not(Audience::Any(vec![user_tag("gold"), user_tag("sil\"ver")])),
        ),
        ("user_tag in (gold)", user_tag("gold")),
        ("bound", is(Fact::Bound)),
        ("bound = false", not(is(Fact::Bound))),
        ("unbound", not(is(Fact::Bound))),
        ("unbound != true", is(Fact::Bound)),
        ("bound within 7d", is(Fact::BoundSince(ago(7)))),
        ("unbound >= 2w ago", is(Fact::UnboundSince(ago(14)))),
        ("seen since 30d", is(Fact::SeenSince(ago(30)))),
        ("last_seen < 30d ago", is(Fact::SeenBefore(ago(30)))),
        ("registered >= 2026-01-31", is(Fact::RegisteredSince(Timestamp::from_millis(1_769_817_600_000)))),
        (
            "registered before 2026-01-31T08:00:00+08:00",
            is(Fact::RegisteredBefore(Timestamp::from_millis(1_769_817_600_000))),
        ),
        (
            "registered <= 1769817600999",
            is(Fact::RegisteredBefore(Timestamp::from_millis(1_769_817_601_000))),
        ),
        ("seen >= now", is(Fact::SeenSince(ago(0)))),
        (
            "platform = android and (tag = vip or user_tag in (gold, silver)) AND NOT app_version < 2.10",
            Audience::All(vec![
                android,
                Audience::Any(vec![tag("vip"), Audience::Any(vec![user_tag("gold"), user_tag("silver")])]),
                not(version(Compare::Less, "2.10")),
            ]),
        ),
        (
            "tag = a && bound || !tag = b",
            Audience::Any(vec![Audience::All(vec![tag("a"), is(Fact::Bound)]), not(tag("b"))]),
        ),
    ] {
        assert_eq!(parse(text), meant, "{text}");
        assert_eq!(parse(&parse(text).to_string()), meant, "{text}");
    }
}

#[test]
fn a_syntax_error_says_where_it_is_and_what_was_expected() {
    for (text, column, expected) in [
        ("", 1, "platform"),
        ("platform", 9, "\"=\""),
        ("platform =", 11, "a value"),
        ("platform = windows", 12, "android, ios"),
        ("channel = pigeon", 11, "own, apns"),
        ("colour = red", 1, "platform"),
        ("tag = vip and", 14, "platform"),
        ("tag = vip tag = x", 11, "\"and\""),
        ("(tag = vip", 11, "\")\""),
        ("tag in vip", 8, "\"(\""),
        ("tag in (a b)", 11, "\",\""),
        ("tag > vip", 5, "\"=\""),
        ("seen = 7d", 6, "\">=\""),
        ("seen >= yesterday", 9, "a moment"),
        ("registered >= 2026", 15, "a moment"),
        ("seen within long", 13, "a span"),
        ("bound = maybe", 9, "\"true\""),
        ("tag = \"open", 12, "the \" that ends"),
        ("tag = ünïcode ? x", 15, "a name"),
        ("会员 = vip", 1, "platform"),
    ] {
        let error = Audience::parse(text, NOW).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.expected.contains(expected), "{text}: {error}");
        assert_eq!(text[..error.offset].chars().count() + 1, column, "{text}: {error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |levels: usize| format!("{}bound{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Audience::parse(&nested(31), NOW).is_ok());
    assert!(Audience::parse(&nested(32), NOW).is_err());
    assert!(Audience::parse(&"not ".repeat(1000), NOW).is_err());
    let long = format!("tag in ({}a)", "a, ".repeat(1400));
    assert!(Audience::parse(&long, NOW).unwrap_err().expected.contains("4096"));
    let tag = "t".repeat(65);
    assert!(Audience::parse(&format!("tag = {tag}"), NOW).is_err());
}

#[test]
fn a_locale_has_its_finer_ones() {
    for (known, asked, is) in [
        ("zh-CN", "zh", true),
        ("zh_CN", "ZH-cn", true),
        ("zh-Hans-CN", "zh-Hans", true),
        ("zho", "zh", false),
        ("zh", "zh-CN", false),
    ] {
        assert_eq!(is_locale(known, asked), is, "{known} {asked}");
    }
}

fn a_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[a-zA-Z0-9 \"'\\\\(),=<>!&|._-]{1,12}",
        Just("and".to_owned()),
        Just("会员 金".to_owned()),
    ]
}

fn a_moment() -> impl Strategy<Value = Timestamp> {
    (0..u64::from(u32::MAX)).prop_map(|seconds| Timestamp::from_millis(seconds * 1000))
}

fn a_fact() -> impl Strategy<Value = Fact> {
    let compare = prop_oneof![
        Just(Compare::Less),
        Just(Compare::LessOrEqual),
        Just(Compare::Equal),
        Just(Compare::GreaterOrEqual),
        Just(Compare::Greater),
    ];
    prop_oneof![
        (0..5usize).prop_map(|at| Fact::Platform(carillon_sdk::api::Platform::ALL[at])),
        a_name().prop_map(Fact::Maker),
        Just(Fact::Bound),
        (0..8u8, a_moment()).prop_map(|(kind, at)| match kind {
            0 => Fact::RegisteredSince(at),
            1 => Fact::RegisteredBefore(at),
            2 => Fact::SeenSince(at),
            3 => Fact::SeenBefore(at),
            4 => Fact::BoundSince(at),
            5 => Fact::BoundBefore(at),
            6 => Fact::UnboundSince(at),
            _ => Fact::UnboundBefore(at),
        }),
        (compare, a_name()).prop_map(|(compare, version)| Fact::Version(compare, version)),
        prop_oneof![Just("own"), Just("fcm")].prop_map(|channel| Fact::Channel(channel.to_owned())),
        a_name().prop_map(Fact::Locale),
        a_name().prop_map(Fact::Tag),
        a_name().prop_map(Fact::UserTag),
    ]
}

/// Any, as a parser could have made it: a chain has two parts or more.
fn an_audience() -> impl Strategy<Value = Audience> {
    let leaf = prop_oneof![1 => Just(Audience::Everybody), 9 => a_fact().prop_map(Audience::Is)];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Audience::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Audience::Any),
            inner.prop_map(not),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(audience in an_audience()) {
        let text = audience.to_string();
        prop_assume!(text.len() <= TEXT_BYTES_MAX);
        let read = Audience::parse(&text, NOW);
        prop_assert_eq!(read, Ok(audience), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_fall(text in ".{0,200}") {
        if let Err(error) = Audience::parse(&text, NOW) {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset));
        }
    }

    #[test]
    fn a_row_holds_an_audience(audience in an_audience()) {
        let bytes = rmp_serde::to_vec(&audience).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Audience>(&bytes).unwrap(), audience);
    }
}

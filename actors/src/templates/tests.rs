use super::*;
use crate::limits::Limits;
use crate::order::{Named, Recipient};
use crate::template::Values;

fn draft(title: &str, body: &str) -> Draft {
    Draft { title: Some(title.to_owned()), body: Some(body.to_owned()), ..Draft::default() }
}

fn field(draft: &Draft) -> Option<&'static str> {
    match rules::check(draft, &Limits::default()) {
        Ok(_) => None,
        Err(Error::Invalid { field, .. }) => Some(field),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_name_is_letters_digits_and_underscores() {
    for good in ["a", "Order_shipped_2", &"n".repeat(200)] {
        assert!(is_name(good), "{good}");
    }
    for wrong in ["", "a,b", "a b", "a-b", "ä", &"n".repeat(201)] {
        assert!(!is_name(wrong), "{wrong}");
    }
}

#[test]
fn variables_are_those_of_the_placeholders_each_once() {
    let draft =
        Draft { uri: Some("app://#order#/#who#".to_owned()), ..draft("Hi #who#", "no. #1 of #order#") };
    assert_eq!(rules::check(&draft, &Limits::default()).unwrap(), ["who", "order"]);
}

#[test]
fn declared_variables_are_those_that_are_there() {
    let declared = |names: &[&str]| Draft {
        declared: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..draft("#a#", "#b#")
    };
    assert_eq!(field(&declared(&["b", "a"])), None);
    for wrong in [&["a"][..], &["a", "b", "c"], &["a", "a", "b"], &[]] {
        assert_eq!(field(&declared(wrong)), Some("variables"), "{wrong:?}");
    }
}

#[test]
fn a_template_says_something_within_its_limits() {
    assert_eq!(field(&Draft::default()), Some("body"));
    assert_eq!(field(&Draft { silent: true, ..Draft::default() }), None);
    assert_eq!(field(&draft("t", &"b".repeat(4096))), Some("body"));
    assert_eq!(field(&Draft { uri: Some("u".repeat(2049)), ..draft("t", "b") }), Some("uri"));
    assert_eq!(field(&Draft { description: Some("d".repeat(201)), ..draft("t", "b") }), Some("description"));
    for wrong in ["[]", "{", "1"] {
        assert_eq!(
            field(&Draft { data: Some(wrong.to_owned()), ..draft("t", "b") }),
            Some("data"),
            "{wrong}"
        );
    }
}

#[test]
fn every_recipient_without_a_value_is_named_with_all_that_it_lacks() {
    let content =
        Content { title: Some("#a##b#".to_owned()), body: Some("#c##a#".to_owned()), ..Content::default() };
    let values = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
    let to = |user: &str, names: &[&str]| Recipient {
        to: Named::User(user.parse().unwrap()),
        key: None,
        values: values(names),
        data: None,
    };
    let common: Values = values(&["b"]);
    let found = lacking(&content, &common, &[to("ann", &["a"]), to("bob", &["a", "c"]), to("cy", &[])], 9);
    let named: Vec<_> = found.iter().map(|one| (one.at, one.target.as_deref(), &one.variables[..])).collect();
    let (c, ac) = (["c".to_owned()], ["a".to_owned(), "c".to_owned()]);
    assert_eq!(named, [(0, Some("ann"), &c[..]), (2, Some("cy"), &ac[..])]);
    assert_eq!(lacking(&content, &common, &[], 9)[0].variables, ac, "an audience has the common values");
}

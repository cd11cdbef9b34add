//! Whether an order has a value for every placeholder, for everybody at once: whoever sends to a
//! thousand wants to hear of all that is wrong and not of the first.

use crate::order::{Content, Recipient};
use crate::template::{Values, placeholders};

/// A recipient for whom variables have no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Its place in the order; 0 for an audience.
    pub at: usize,
    /// Its name; none for an audience.
    pub target: Option<String>,
    /// Each once, in the order in which they come first.
    pub variables: Vec<String>,
}

/// Every recipient who lacks a value, at most `limit` of them. With no recipients: the audience.
#[must_use]
pub fn lacking(content: &Content, common: &Values, recipients: &[Recipient], limit: usize) -> Vec<Lacking> {
    let mut open: Vec<&str> = Vec::new();
    for text in [&content.title, &content.body, &content.uri].into_iter().flatten() {
        for name in placeholders(text) {
            if !common.contains_key(name) && !open.contains(&name) {
                open.push(name);
            }
        }
    }
    if open.is_empty() {
        return Vec::new();
    }
    if recipients.is_empty() {
        let variables = open.into_iter().map(str::to_owned).collect();
        return vec![Lacking { at: 0, target: None, variables }];
    }
    let mut lacking = Vec::new();
    for (at, recipient) in recipients.iter().enumerate() {
        let without = |name: &&&str| !recipient.values.contains_key(**name);
        let variables: Vec<String> = open.iter().filter(without).map(|name| (*name).to_owned()).collect();
        if !variables.is_empty() {
            lacking.push(Lacking { at, target: Some(recipient.to.as_str().to_owned()), variables });
        }
        if lacking.len() == limit {
            break;
        }
    }
    lacking
}

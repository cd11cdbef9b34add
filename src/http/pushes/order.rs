//! A push's body as an order: what is kept, to be carried out later.

use carillon_actors::audience::Audience;
use carillon_actors::model::{App, PushType};
use carillon_actors::order::{Content, Named, Order, Recipient, Recipients};
use carillon_actors::template::{Values, placeholders};
use carillon_sdk::Ttl;
use carillon_sdk::api::PushRequest;

use super::super::{Code, Refused, State};
use super::parse::{Draft, Targets, parse_push};
use super::words::of_template;

/// The order that carries a push out later, in its words of now.
pub(in super::super) fn order_of(
    state: &State,
    app: App,
    mut asked: PushRequest,
    name: Option<String>,
) -> Result<Order, Refused> {
    let template = asked.template.clone();
    let options = of_template(state, app, &mut asked)?;
    let draft = parse_push(asked, state.engine.limits(), state.engine.clock().now())?;
    if draft.ttl.is_zero() {
        let detail = "nobody knows now who will be online then: it is at least 1 second";
        return Err(Refused::at(Code::TtlOutOfRange, "/ttl_s", detail));
    }
    let Draft { targets, title, body, data, uri, look, ttl, lane, collapse_key, silent } = draft;
    let content = Content { title, body, uri, data, look, silent, options };
    Ok(Order {
        name,
        push_type: push_type(&targets, template.is_some()),
        template,
        values: as_they_are(&content),
        content,
        to: recipients(targets),
        ttl,
        lane,
        collapse_key,
        keys_keep: Ttl::ZERO,
    })
}

fn push_type(targets: &Targets, from_template: bool) -> PushType {
    match targets {
        Targets::All | Targets::Audience(_) => PushType::Broadcast,
        Targets::Devices(ids) if ids.len() > 1 => PushType::Multiple,
        Targets::Users(ids) if ids.len() > 1 => PushType::Multiple,
        Targets::Devices(_) | Targets::Users(_) if from_template => PushType::Template,
        Targets::Devices(_) | Targets::Users(_) => PushType::Single,
    }
}

fn recipients(targets: Targets) -> Recipients {
    let recipient = |to| Recipient { to, key: None, values: Values::new(), data: None };
    match targets {
        Targets::Devices(ids) => {
            Recipients::Each(ids.into_iter().map(Named::Device).map(recipient).collect())
        }
        Targets::Users(ids) => Recipients::Each(ids.into_iter().map(Named::User).map(recipient).collect()),
        Targets::Audience(audience) => Recipients::Audience(audience),
        Targets::All => Recipients::Audience(Audience::Everybody),
    }
}

/// Words that are final may hold what looks like a placeholder; each stands for itself.
fn as_they_are(content: &Content) -> Values {
    let texts = [&content.title, &content.body, &content.uri].into_iter().flatten();
    let names = texts.flat_map(|text| placeholders(text));
    names.map(|name| (name.to_owned(), format!("#{name}#"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_placeholder_in_a_pushs_own_words_is_sent_as_it_is() {
        let content = Content { title: Some("#1# of #all# ##".to_owned()), ..Content::default() };
        assert_eq!(content.render(&[&as_they_are(&content)]).unwrap(), content);
    }
}

//! A batch that the vendor refuses as a whole because of a token it does not name: asked again by
//! halves until that token stands alone. To unbind them all would take the living along, and a wrong
//! app looks the same.

use carillon_actors::channel::{Address, Class, Outcome, Refused, Scope};

/// Calls of one batch; what is undecided then is tried again later, and is less each time.
const CALLS_MAX: usize = 64;

/// What one call came to.
pub(super) enum Told {
    /// An outcome for each address, in their order.
    Each(Vec<Outcome>),
    /// One word for all of them.
    Whole(Refused),
}

pub(super) async fn by_halves<Calling: Future<Output = Told>>(
    to: Vec<Address>,
    call: impl Fn(Vec<Address>) -> Calling,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(to.len());
    let mut waiting = vec![to];
    let mut calls = 0;
    while let Some(mut some) = waiting.pop() {
        let count = some.len();
        if calls == CALLS_MAX {
            let undecided = Refused::new(Class::Retry, Scope::Message, "undecided");
            let undecided = undecided.because("a token of the batch is dead, and not found yet");
            outcomes.extend(std::iter::repeat_n(Outcome::from(undecided), count));
            continue;
        }
        calls += 1;
        match call(some.clone()).await {
            Told::Each(each) => outcomes.extend(each),
            Told::Whole(refused) if refused.class == Class::Unbind && count > 1 => {
                let second = some.split_off(count / 2);
                waiting.push(second);
                waiting.push(some);
            }
            Told::Whole(refused) => outcomes.extend(std::iter::repeat_n(Outcome::from(refused), count)),
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(tokens: &[&str]) -> Vec<Option<Class>> {
        let to = tokens.iter().map(|token| Address { token: (*token).to_owned(), receipt: String::new() });
        let outcomes = by_halves(to.collect(), async |some: Vec<Address>| {
            if some.iter().any(|address| address.token.starts_with("dead")) {
                return Told::Whole(Refused::new(Class::Unbind, Scope::Device, "dead"));
            }
            Told::Each(vec![Outcome::accepted(None); some.len()])
        });
        let class = |outcome: Outcome| match outcome {
            Outcome::Accepted(_) => None,
            Outcome::Refused(refused) => Some(refused.class),
        };
        outcomes.await.into_iter().map(class).collect()
    }

    #[tokio::test]
    async fn only_the_dead_one_of_a_refused_batch_is_unbound() {
        let dead = Some(Class::Unbind);
        assert_eq!(send(&["a", "b", "dead", "c", "d"]).await, [None, None, dead, None, None]);
        assert_eq!(send(&["dead", "a"]).await, [dead, None]);
    }

    #[tokio::test]
    async fn a_batch_of_dead_ones_ends_after_a_bounded_number_of_calls() {
        let outcomes = send(&["dead"; 500]).await;
        assert_eq!(outcomes.len(), 500);
        let dead = outcomes.iter().filter(|class| **class == Some(Class::Unbind)).count();
        assert!(dead > 0 && outcomes.iter().all(|class| matches!(class, Some(Class::Unbind | Class::Retry))));
    }
}

//! A fault by its name: among those of the chosen place, and where it is when it is not there. Pure.

use super::state::State;

/// Which of these is meant: the one of this name, else one that begins with it or has it inside.
pub(super) fn meant<'a>(
    names: &(impl Iterator<Item = &'a str> + Clone),
    text: &str,
) -> Option<usize> {
    let first = |fits: &dyn Fn(&str) -> bool| names.clone().position(fits);
    first(&|name| name == text)
        .or_else(|| first(&|name| name.starts_with(text)))
        .or_else(|| first(&|name| name.contains(text)))
}

/// Chooses what is meant by a text, and says so where there is nothing of the kind.
pub(super) fn choose(state: &mut State, text: &str, before: Option<usize>) {
    if text.is_empty() {
        (state.offer, state.said) = (before, None);
        return;
    }
    state.offer = meant(&state.offers_here().iter().map(|offer| offer.name), text);
    state.said = state.offer.is_none().then(|| Err(not_here(state, text)));
}

fn not_here(state: &State, text: &str) -> String {
    if state.offers.is_empty() {
        return "the subjects are not up yet".to_owned();
    }
    let names = state.offers.iter().flatten().map(|offer| offer.name);
    let known = meant(&names, text).and_then(|at| names.clone().nth(at));
    let (Some(name), Some(here)) = (known, state.places.get(state.place)) else {
        return format!("no fault is called `{text}`");
    };
    let word = if name == text { "it".to_owned() } else { format!("`{name}`") };
    format!("no fault of `{here}` is called `{text}`; {word} is at {}", places(state, name))
}

/// Where a fault can be injected; where it is listed at least, if it cannot anywhere.
fn places(state: &State, name: &str) -> String {
    let listed = || {
        let all = state.places.iter().zip(&state.offers);
        all.filter_map(|(place, offers)| {
            Some((place, offers.iter().find(|offer| offer.name == name)?))
        })
    };
    let can = listed().any(|(_, offer)| offer.why_not.is_none());
    let those = listed().filter(|(_, offer)| !can || offer.why_not.is_none());
    those.map(|(place, _)| format!("`{place}`")).collect::<Vec<_>>().join(", ")
}

//! "Did you mean …?"

/// The candidate that `text` is most likely a misspelling of, if any is near enough.
pub(super) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.', ' '], "_");
    let typed = plain(text);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&typed, &plain(candidate));
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(typed.len()).div_ceil(3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_key_and_strangers_find_none() {
        let keys = ["bootstrap", "security", "trust", "user", "host_key"];
        for (typed, expected) in [
            ("boostrap", Some("bootstrap")),
            ("Security", Some("security")),
            ("host-key", Some("host_key")),
            ("usr", Some("user")),
            ("replicas", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, keys), expected, "{typed}");
        }
    }
}

//! Who may run something: numbers and ranges of user ids.

use super::PlanError;

/// Both ends are in it.
pub(super) type Range = (u32, u32);

/// `7`, `7-9`, `7-` or `-9`.
pub(super) fn parse(text: &str) -> Option<Range> {
    let text = text.trim();
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.trim(), high.trim());
    if low.is_empty() && high.is_empty() {
        return None;
    }
    let low = if low.is_empty() { 0 } else { low.parse().ok()? };
    let high = if high.is_empty() { u32::MAX } else { high.parse().ok()? };
    (low <= high).then_some((low, high))
}

/// Fails when a user is named who is none of those, or whose number is not said. With no ranges everybody may.
pub(super) fn check<'a>(
    allowed: &[String],
    users: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Result<(), PlanError> {
    if allowed.is_empty() {
        return Ok(());
    }
    let ranges: Vec<_> = allowed.iter().filter_map(|text| parse(text)).collect();
    for (whose, user) in users {
        let number = user.split(':').next().unwrap_or(user);
        let fits = number.parse::<u32>().is_ok_and(|id| ranges.iter().any(|(low, high)| (*low..=*high).contains(&id)));
        if !fits {
            let allowed = allowed.join(", ");
            return Err(PlanError::Contract(format!(
                "{whose} is `{user}`, which has to be a number within allowed_uids ({allowed})"
            )));
        }
    }
    Ok(())
}

/// The users that ONBUILD instructions change to.
pub(super) fn of_triggers(on_build: &[String]) -> impl Iterator<Item = &str> {
    on_build.iter().filter_map(|line| {
        let (word, rest) = line.trim_start().split_once(char::is_whitespace)?;
        word.eq_ignore_ascii_case("USER").then(|| rest.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_be_open() {
        for (text, range) in [
            ("7", Some((7, 7))),
            ("7-9", Some((7, 9))),
            ("1-", Some((1, u32::MAX))),
            ("-9", Some((0, 9))),
            ("9-7", None),
            ("-", None),
            ("", None),
            ("app", None),
        ] {
            assert_eq!(parse(text), range, "{text}");
        }
    }

    #[test]
    fn a_user_without_a_number_is_nobody_that_may() {
        let allowed = ["1-".to_owned()];
        for (user, may) in [("1001", true), ("1001:0", true), ("0", false), ("root", false), ("", false)] {
            assert_eq!(check(&allowed, [("x", user)]).is_ok(), may, "{user}");
        }
        assert!(check(&[], [("x", "root")]).is_ok());
        let lines = ["user root".to_owned(), "RUN x".to_owned(), "USER 7".to_owned()];
        assert_eq!(of_triggers(&lines).collect::<Vec<_>>(), ["root", "7"]);
    }
}

//! Files that one can read: at most 400 lines, and never more than 600.

/// Beyond this a file should be divided.
const SHOULD: usize = 400;
/// Beyond this it must be.
const MUST: usize = 600;

/// What is too large, and what is only large.
pub(super) fn look(files: &[(String, String)]) -> (Vec<String>, Vec<String>) {
    let (mut too_large, mut large) = (Vec::new(), Vec::new());
    for (path, text) in files {
        let lines = text.lines().count();
        if lines > MUST {
            too_large.push(format!("{path} has {lines} lines; {MUST} are too many"));
        } else if lines > SHOULD {
            large.push(format!("{path} has {lines} lines; beyond {SHOULD} a file should be divided"));
        }
    }
    (too_large, large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_400_is_said_and_beyond_600_fails() {
        let file = |lines: usize| (format!("{lines}.rs"), "x\n".repeat(lines));
        let (too_large, large) = look(&[file(400), file(401), file(600), file(601)]);
        assert_eq!(large.len(), 2);
        assert_eq!(too_large, ["601.rs has 601 lines; 600 are too many"]);
    }
}

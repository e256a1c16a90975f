//! The programs that run inside: `lifecycle` in instances, `guest` in machines; for this processor, as bytes. `build.rs`
//! builds them.

/// A static program; its head (`crates/lifecycle/src/main.rs`) says how it is called.
pub(crate) const LIFECYCLE: &[u8] = include_bytes!(env!("TILL_LIFECYCLE"));

/// A static program; its head (`crates/guest/src/main.rs`) says what it is for.
pub(crate) const GUEST: &[u8] = include_bytes!(env!("TILL_GUEST"));

#[cfg(test)]
mod tests {
    use super::{GUEST, LIFECYCLE};

    /// "The program is loaded by another one": what a dynamic program has.
    const PT_INTERP: u32 = 3;
    /// They are in every image that buildpacks made, and on every disk.
    const SMALL: usize = 2 << 20;

    fn number<const N: usize>(program: &[u8], at: usize) -> [u8; N] {
        program[at..at + N].try_into().unwrap()
    }

    #[test]
    fn the_programs_inside_are_static_and_small() {
        for program in [LIFECYCLE, GUEST] {
            assert_eq!(&program[..5], b"\x7fELF\x02", "a program of 64 bits");
            let headers = usize::try_from(u64::from_le_bytes(number(program, 32))).unwrap();
            let size = usize::from(u16::from_le_bytes(number(program, 54)));
            let count = usize::from(u16::from_le_bytes(number(program, 56)));
            let kind = |at: usize| u32::from_le_bytes(number(program, headers + at * size));
            let kinds: Vec<_> = (0..count).map(kind).collect();
            assert!(!kinds.is_empty() && !kinds.contains(&PT_INTERP), "{kinds:?}");
            assert!(program.len() < SMALL, "{} bytes", program.len());
        }
    }
}

//! The programs that run inside: `lifecycle` in instances, `guest` in machines; for this processor, as bytes. `build.rs`
//! builds them.

/// A static program; its head (`crates/lifecycle/src/main.rs`) says how it is called.
pub(crate) const LIFECYCLE: &[u8] = include_bytes!(env!("TILL_LIFECYCLE"));

/// A static program; its head (`crates/guest/src/main.rs`) says what it is for.
pub(crate) const GUEST: &[u8] = include_bytes!(env!("TILL_GUEST"));

/// What works in Windows systems (`crates/guest/windows`); empty where this binary was built without a compiler for it.
pub(crate) const WINDOWS: &[u8] = include_bytes!(env!("TILL_WINDOWS"));

#[cfg(test)]
mod tests {
    use super::{GUEST, LIFECYCLE, WINDOWS};

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
    #[test]
    fn the_program_of_windows_is_one_of_64_bits_and_the_same_each_time() {
        assert!(!WINDOWS.is_empty(), "there was no compiler for it: cargo xtask setup");
        let header = usize::try_from(u32::from_le_bytes(number(WINDOWS, 60))).unwrap();
        assert_eq!((&WINDOWS[..2], &WINDOWS[header..header + 6]), (&b"MZ"[..], &b"PE\0\0\x64\x86"[..]));
        assert_eq!(number::<4>(WINDOWS, header + 8), [0; 4], "when it was made stands nowhere");
        assert!(WINDOWS.len() < 256 << 10, "{} bytes", WINDOWS.len());
    }
}

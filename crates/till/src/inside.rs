//! The program that runs inside instances: `lifecycle`, for this processor, as bytes. `build.rs` builds it.

/// A static program; its head (`crates/lifecycle/src/main.rs`) says how it is called.
pub(crate) const LIFECYCLE: &[u8] = include_bytes!(env!("TILL_LIFECYCLE"));

#[cfg(test)]
mod tests {
    use super::LIFECYCLE;

    /// "The program is loaded by another one": what a dynamic program has.
    const PT_INTERP: u32 = 3;
    /// It is in every image that buildpacks made.
    const SMALL: usize = 2 << 20;

    fn number<const N: usize>(at: usize) -> [u8; N] {
        LIFECYCLE[at..at + N].try_into().unwrap()
    }

    #[test]
    fn the_program_inside_is_static_and_small() {
        assert_eq!(&LIFECYCLE[..5], b"\x7fELF\x02", "a program of 64 bits");
        let headers = usize::try_from(u64::from_le_bytes(number(32))).unwrap();
        let size = usize::from(u16::from_le_bytes(number(54)));
        let count = usize::from(u16::from_le_bytes(number(56)));
        let kinds: Vec<_> = (0..count).map(|at| u32::from_le_bytes(number(headers + at * size))).collect();
        assert!(!kinds.is_empty() && !kinds.contains(&PT_INTERP), "{kinds:?}");
        assert!(LIFECYCLE.len() < SMALL, "{} bytes", LIFECYCLE.len());
    }
}

//! Ids of owners: what an instance sees, and what lies on disk.

use crate::error::ImageError;

/// Ids inside an instance are stored shifted on disk: inside n is outside `first` + n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdShift {
    /// What 0 inside is outside.
    pub first: u32,
    /// How many ids there are.
    pub count: u32,
}

impl IdShift {
    /// No shift; every id but the last, which the kernel keeps for "no id".
    pub fn none() -> Self {
        Self { first: 0, count: u32::MAX }
    }

    /// The id on disk of an id inside.
    pub fn outside(&self, inside: u32) -> Result<u32, ImageError> {
        if inside < self.count {
            self.first.checked_add(inside).ok_or_else(|| self.no_id(inside.into()))
        } else {
            Err(self.no_id(inside.into()))
        }
    }

    /// The id inside of an id on disk.
    pub fn inside(&self, outside: u32) -> Result<u32, ImageError> {
        outside.checked_sub(self.first).filter(|inside| *inside < self.count).ok_or_else(|| self.no_id(outside.into()))
    }

    /// The id on disk of an id that an archive names: there it may be any number.
    pub(crate) fn outside_of(&self, inside: u64) -> Result<u32, ImageError> {
        self.outside(u32::try_from(inside).map_err(|_| self.no_id(inside))?)
    }

    fn no_id(&self, id: u64) -> ImageError {
        ImageError::Id { id, first: self.first, count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_out_and_in_again_or_not_at_all() {
        let shift = IdShift { first: 100_000, count: 65_536 };
        assert_eq!(shift.outside(0).unwrap(), 100_000);
        assert_eq!(shift.outside(65_535).unwrap(), 165_535);
        assert_eq!(shift.inside(165_535).unwrap(), 65_535);
        assert!(shift.outside(65_536).is_err());
        assert!(shift.inside(99_999).is_err());
        assert!(shift.inside(165_536).is_err());
        assert!(shift.outside_of(1 << 32).is_err());
        assert_eq!(IdShift::none().outside(u32::MAX - 1).unwrap(), u32::MAX - 1);
        assert!(IdShift::none().outside(u32::MAX).is_err());
        let high = IdShift { first: u32::MAX - 1, count: 10 };
        assert!(high.outside(5).is_err());
    }
}

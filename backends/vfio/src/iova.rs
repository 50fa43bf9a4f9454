//! Which device addresses are free: the ranges that the IOMMU admits, less what is mapped. Numbers only.

/// Free device addresses, as inclusive ranges that do not touch each other, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Iovas {
    free: Vec<(u64, u64)>,
}

/// Nothing is given out below: address 0 is what a driver's mistake looks like.
const FIRST: u64 = 1 << 20;

impl Iovas {
    /// The ranges, first and last address each, that the IOMMU admits. What lies above `mask` is left out; so is what
    /// does not begin and end at a page.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (u64, u64)>, mask: u64, page: u64) -> Self {
        let mut all: Vec<_> = ranges
            .into_iter()
            .filter_map(|(first, last)| {
                let first = first.max(FIRST).checked_next_multiple_of(page)?;
                let last = last.min(mask);
                let last = if last == u64::MAX { last } else { ((last + 1) / page * page).checked_sub(1)? };
                (first < last).then_some((first, last))
            })
            .collect();
        all.sort_unstable();
        let mut free: Vec<(u64, u64)> = Vec::new();
        for (first, last) in all {
            match free.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => free.push((first, last)),
            }
        }
        Self { free }
    }

    /// The lowest free range of `len` bytes at a multiple of `align`, and not free any more.
    pub(crate) fn take(&mut self, len: u64, align: u64) -> Option<u64> {
        if len == 0 || !align.is_power_of_two() {
            return None;
        }
        let (at, start) = self.free.iter().enumerate().find_map(|(at, (first, last))| {
            let start = first.checked_next_multiple_of(align)?;
            (start.checked_add(len - 1)? <= *last).then_some((at, start))
        })?;
        let (first, last) = self.free.remove(at);
        if let Some(after) = (start + (len - 1)).checked_add(1).filter(|after| *after <= last) {
            self.free.insert(at, (after, last));
        }
        if first < start {
            self.free.insert(at, (first, start - 1));
        }
        Some(start)
    }

    /// Takes this very range, where all of it is free.
    #[cfg(test)]
    pub(crate) fn is_free(&self, at: u64, len: u64) -> bool {
        self.free.iter().any(|(first, last)| *first <= at && at + (len - 1) <= *last)
    }

    /// Gives back what [`take`](Self::take) gave.
    pub(crate) fn give(&mut self, start: u64, len: u64) {
        let Some(mut end) = start.checked_add(len.wrapping_sub(1)).filter(|_| len > 0) else { return };
        let mut begin = start;
        let at = self.free.partition_point(|(first, _)| *first < start);
        debug_assert!(self.free.get(at).is_none_or(|(first, _)| end < *first), "given twice");
        debug_assert!(at == 0 || self.free[at - 1].1 < start, "given twice");
        if let Some((first, last)) =
            self.free.get(at).copied().filter(|(first, _)| Some(*first) == end.checked_add(1))
        {
            debug_assert!(first > end);
            end = last;
            self.free.remove(at);
        }
        if at > 0 && self.free[at - 1].1.checked_add(1) == Some(start) {
            begin = self.free.remove(at - 1).0;
            self.free.insert(at - 1, (begin, end));
        } else {
            self.free.insert(at, (begin, end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: u64 = 4096;

    #[test]
    fn holes_masks_and_pages_are_honoured() {
        // What Intel's IOMMU says: the window of interrupt messages is a hole.
        let ranges = [(0, 0xfedf_ffff), (0xfef0_0000, 0xffff_ffff_ffff)];
        let mut iovas = Iovas::new(ranges, u64::MAX, PAGE);
        assert_eq!(iovas.take(PAGE, PAGE), Some(FIRST));
        assert_eq!(iovas.take(0xfec0_0000, 2 << 20), Some(2 << 20));
        assert_eq!(iovas.take(2 << 20, 2 << 20), Some(0xff00_0000), "beyond the hole");
        let mut low = Iovas::new(ranges, u32::MAX.into(), PAGE);
        assert_eq!(low.take(0xfef0_0000, PAGE), None);
        assert_eq!(low.take(0x100_0000, 2 << 20), Some(2 << 20));
        let mut last = 0;
        while let Some(at) = low.take(2 << 20, 2 << 20) {
            last = at;
        }
        assert_eq!(last, 0xffe0_0000);
        assert_eq!(Iovas::new([(0x10_0001, 0x10_1ffe)], u64::MAX, PAGE), Iovas::default());
    }

    #[test]
    fn nonsense_of_a_kernel_gives_no_addresses() {
        assert_eq!(Iovas::new([(5, 3), (u64::MAX, 0)], u64::MAX, PAGE), Iovas::default());
        let mut all = Iovas::new([(0, u64::MAX)], u64::MAX, PAGE);
        assert_eq!(all.take(u64::MAX, PAGE), None);
        assert_eq!(all.take(0, PAGE), None);
        assert_eq!(all.take(PAGE, 3), None);
    }

    proptest! {
        #[test]
        fn ranges_are_inside_apart_aligned_and_come_back(
            ranges in prop::collection::vec((0u64..1 << 40, 0u64..1 << 32), 1..6),
            mask in prop_oneof![Just(u64::MAX), Just(u64::from(u32::MAX)), 0u64..1 << 40],
            steps in prop::collection::vec((any::<bool>(), 1u64..600, 12u32..22), 1..80),
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(first, len)| (first, first + len)).collect();
            let fresh = Iovas::new(ranges.iter().copied(), mask, PAGE);
            let mut iovas = fresh.clone();
            let mut out: Vec<(u64, u64)> = Vec::new();
            for (take, pages, align) in steps {
                if take || out.is_empty() {
                    let len = pages * PAGE;
                    let before = iovas.clone();
                    match iovas.take(len, 1 << align) {
                        Some(at) => {
                            prop_assert_eq!(at % (1 << align), 0);
                            prop_assert!(before.is_free(at, len));
                            prop_assert!(at + (len - 1) <= mask);
                            prop_assert!(at >= FIRST);
                            // Neighbouring ranges are one; so each page must lie in some admitted range.
                            for page in (at..at + len).step_by(PAGE as usize) {
                                prop_assert!(ranges.iter().any(|(first, last)| *first <= page && page <= *last));
                            }
                            prop_assert!(out.iter().all(|(a, l)| at + len <= *a || a + l <= at));
                            out.push((at, len));
                        }
                        None => prop_assert_eq!(&before, &iovas),
                    }
                } else {
                    let (at, len) = out.swap_remove(pages as usize % out.len());
                    iovas.give(at, len);
                    prop_assert!(iovas.is_free(at, len));
                }
            }
            for (at, len) in out {
                iovas.give(at, len);
            }
            prop_assert_eq!(iovas, fresh, "all came back, joined");
        }
    }
}

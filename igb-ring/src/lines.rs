//! Arrays that begin and end on 128-byte lines: no two queues write into one line (CPUs fetch lines of 64 in pairs).

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::ops::Deref;
use core::ptr::NonNull;

/// Puts a value on lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// A boxed slice on lines of its own. Elements are not dropped: they are atomics or `MaybeUninit`.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    first: NonNull<T>,
    len: usize,
}
// SAFETY: owns its elements, like a box.
unsafe impl<T: Send> Send for Lines<T> {}
// SAFETY: shared references give shared references to the elements only.
unsafe impl<T: Sync> Sync for Lines<T> {}

impl<T> Lines<T> {
    fn layout(len: usize) -> Option<Layout> {
        let bytes = size_of::<T>().checked_mul(len)?.max(1).checked_next_multiple_of(128)?;
        Layout::from_size_align(bytes, align_of::<T>().max(128)).ok()
    }

    /// `len` elements. At most 4,096 are ever asked for, so the layout exists.
    pub(crate) fn new(len: usize, mut element: impl FnMut() -> T) -> Self {
        assert!(!core::mem::needs_drop::<T>());
        let layout = Self::layout(len).expect("a ring's length is at most 4096");
        // SAFETY: the layout has at least 128 bytes.
        let Some(first) = NonNull::new(unsafe { alloc(layout) }.cast::<T>()) else {
            handle_alloc_error(layout)
        };
        for i in 0..len {
            // SAFETY: i < len, inside the allocation.
            let at = unsafe { first.add(i) };
            // SAFETY: fresh memory, aligned.
            unsafe { at.write(element()) }
        }
        Self { first, len }
    }

    #[inline]
    pub(crate) fn first(&self) -> NonNull<T> {
        self.first
    }

    pub(crate) fn as_mut(&mut self) -> &mut [T] {
        // SAFETY: `len` elements were written in `new`.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T> Deref for Lines<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` elements were written in `new`.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> Drop for Lines<T> {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: allocated in `new` with the same layout.
            unsafe { dealloc(self.first.as_ptr().cast(), layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU8;

    #[test]
    fn begins_and_ends_on_lines() {
        let arrays: alloc::vec::Vec<_> = (1..50).map(|n| Lines::new(n, AtomicU8::default)).collect();
        let mut spans: alloc::vec::Vec<_> =
            arrays.iter().map(|a| (a.first().addr().get(), a.len())).collect();
        spans.sort_unstable();
        assert!(spans.iter().all(|(at, _)| at.is_multiple_of(128)));
        assert!(spans.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0));
    }
}

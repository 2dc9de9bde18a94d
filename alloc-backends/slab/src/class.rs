//! Size classes: one for requests of no bytes, 32 in steps of 16 bytes to 512, and 16 in steps of a quarter to 8192.

use core::alloc::Layout;

/// Blocks are multiples of this, and aligned to it.
pub(crate) const GRAIN: usize = 16;

/// The last class in steps of [`GRAIN`], and what it serves.
const LAST_EVEN: usize = 32;
const EVEN: usize = LAST_EVEN * GRAIN;

/// The largest number of classes.
pub(crate) const MOST_CLASSES: usize = LAST_EVEN + 1 + 16;

/// Sizes above [`EVEN`] whose classes are the same lie in one step.
const STEP: usize = 128;

/// The class of each step.
const CLASS_OF_STEP: [u8; served(MOST_CLASSES - 1) / STEP] = {
    let (mut classes, mut step, mut class) = ([0; _], 0, 0);
    while step < classes.len() {
        while served(class) < (step + 1) * STEP {
            class += 1;
        }
        classes[step] = class as u8;
        step += 1;
    }
    classes
};

/// The one of so many classes that serves `layout`, if one does.
#[inline]
pub(crate) fn class_of(layout: Layout, classes: usize) -> Option<usize> {
    let size = layout.size();
    if !has_class(layout, classes) {
        None
    } else if size <= EVEN {
        Some(size.div_ceil(GRAIN))
    } else {
        CLASS_OF_STEP.get((size - 1) / STEP).map(|class| usize::from(*class))
    }
}

/// Whether one of so many classes serves `layout`.
#[inline]
pub(crate) const fn has_class(layout: Layout, classes: usize) -> bool {
    layout.size() <= served(classes - 1) && layout.align() <= GRAIN
}

/// The most bytes that the class serves.
pub(crate) const fn served(class: usize) -> usize {
    if class <= LAST_EVEN {
        return class * GRAIN;
    }
    let (octave, step) = ((class - LAST_EVEN - 1) / 4, (class - LAST_EVEN - 1) % 4);
    (EVEN << octave) / 4 * (5 + step)
}

/// The bytes of a block of the class.
pub(crate) const fn block_size(class: usize) -> usize {
    if class == 0 { GRAIN } else { served(class) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_serves_it() {
        for size in 0..=8300 {
            let layout = Layout::from_size_align(size, 8).unwrap();
            let smallest = (0..MOST_CLASSES).find(|class| size <= served(*class));
            assert_eq!(class_of(layout, MOST_CLASSES), smallest, "{size}");
            assert_eq!(class_of(layout, 9), smallest.filter(|class| *class < 9), "{size}");
            assert_eq!(has_class(layout, MOST_CLASSES), smallest.is_some());
        }
        assert_eq!([33, 36, 37, 40, 48].map(served), [640, 1024, 1280, 2048, 8192]);
        assert!((0..MOST_CLASSES).all(|class| block_size(class).is_multiple_of(GRAIN)));
    }
}

//! The heap looks at itself.

#![allow(unsafe_code)]

use crate::{
    SlabHeap,
    arena::Arena,
    class::block_size,
    page::{Page, Role, header_address},
};

/// Live blocks, or what is broken.
pub(crate) fn blocks<const PAGE: usize, const KEEP: usize, const CLASSES: usize>(
    heap: &SlabHeap<PAGE, KEEP, CLASSES>,
) -> Result<usize, &'static str> {
    let (mut live, mut bytes, mut pages) = (heap.large.count().ok_or("the list of large blocks")?, 0, 0);
    let mut arena = heap.arenas;
    // SAFETY: [H1]: arenas and the pages they began are there; whether the rest holds is what is looked at.
    unsafe {
        while let Some(header) = arena.as_ref() {
            if header.begun > header.pages {
                return Err("an arena's pages");
            }
            let mut used = 0;
            for n in 0..header.begun {
                let page = Arena::page(arena, n, PAGE);
                if (*page).arena != arena {
                    return Err("a page's arena");
                }
                if (*page).role != Role::Idle {
                    used += 1;
                    live += page_blocks(page, PAGE)?;
                    pages += usize::from((*page).role != Role::Full);
                }
            }
            if used != header.used {
                return Err("an arena's count of pages");
            }
            bytes += header.bytes;
            arena = header.next;
        }
        for class in 0..CLASSES {
            pages = pages.checked_sub(listed(heap, class)?).ok_or("a page in two lists")?;
        }
    }
    if bytes != heap.bytes {
        return Err("the count of bytes");
    }
    if pages != 0 {
        return Err("a page with free blocks in no list");
    }
    Ok(live)
}

/// [H2]: the free list has blocks that are neither live nor fresh, all of this page; where live blocks are counted, it has
/// all of them. Answers the live blocks.
unsafe fn page_blocks(page: *mut Page, bytes: usize) -> Result<usize, &'static str> {
    // SAFETY: the caller's page is in use.
    unsafe {
        let size = block_size((*page).class.into());
        if (*page).fresh > (*page).end {
            return Err("a page's fresh part");
        }
        let used = Page::used(page);
        let (mut at, mut free) = ((*page).free, 0);
        while !at.is_null() {
            let address = at.addr();
            if header_address(bytes, address) != page.addr() || free == used {
                return Err("a free list: something wrote into a freed block");
            }
            let offset = address.checked_sub(page.addr()).filter(|offset| *offset < (*page).fresh as usize);
            let place = offset.and_then(|offset| offset.checked_sub(Page::first(page)));
            if place.is_none_or(|place| !place.is_multiple_of(size)) {
                return Err("a free block's address: something wrote into a freed block");
            }
            (at, free) = ((*at).next, free + 1);
        }
        let live = used - free;
        if (*page).role != Role::Current && live != Page::live(page) {
            return Err("a page's count of live blocks");
        }
        Ok(live)
    }
}

/// How many pages the list of a class has.
unsafe fn listed<const PAGE: usize, const KEEP: usize, const CLASSES: usize>(
    heap: &SlabHeap<PAGE, KEEP, CLASSES>,
    class: usize,
) -> Result<usize, &'static str> {
    let (mut at, mut role, mut count) = (heap.table.page(class), Role::Current, 0);
    // SAFETY: [H3].
    unsafe {
        // Before a class has a page, one without an arena stands for it.
        while !at.is_null() && !(*at).arena.is_null() {
            if (*at).role != role || usize::from((*at).class) != class {
                return Err("a page in the wrong list");
            }
            (at, role, count) = ((*at).next, Role::Listed, count + 1);
        }
    }
    Ok(count)
}

//! Blocks by address: a splay tree, threaded by a list in the same order.

#![allow(unsafe_code)]

use core::{ptr, ptr::NonNull};

/// What a block has in front of it to be found.
pub(crate) struct Links {
    /// The whole block, as it came from below.
    pub(crate) start: NonNull<u8>,
    /// The address of the caller's part.
    pub(crate) key: usize,
    left: *mut Links,
    right: *mut Links,
    pub(crate) below: *mut Links,
    pub(crate) above: *mut Links,
}

impl Links {
    pub(crate) const fn new(start: NonNull<u8>, key: usize) -> Self {
        let none = ptr::null_mut();
        Links { start, key, left: none, right: none, below: none, above: none }
    }
}

/// Invariant \[W3\]: the tree holds blocks that are live or in a grave, each once; the list has the same ones in the order
/// of their addresses.
pub(crate) struct Tree {
    root: *mut Links,
}

impl Tree {
    pub(crate) const fn new() -> Self {
        Tree { root: ptr::null_mut() }
    }

    /// The last block that begins at `key` or below it. Only blocks of the tree are looked at.
    pub(crate) fn at_or_below(&mut self, key: usize) -> *mut Links {
        self.splay(key);
        // SAFETY: [W3].
        match unsafe { self.root.as_ref() } {
            Some(root) if root.key > key => root.below,
            _ => self.root,
        }
    }

    /// The blocks from the lowest address up. A block may be removed once it was answered.
    pub(crate) fn first(&mut self) -> *mut Links {
        self.splay(0);
        self.root
    }

    /// # Safety
    /// `node` is new, its key in no block of the tree, and it stays until it is removed or the tree forgotten.
    pub(crate) unsafe fn insert(&mut self, node: *mut Links) {
        // SAFETY: [W3] for the root and its neighbours.
        unsafe {
            self.splay((*node).key);
            if let Some(root) = self.root.as_mut() {
                if root.key < (*node).key {
                    ((*node).left, (*node).right) = (self.root, root.right);
                    ((*node).below, (*node).above) = (self.root, root.above);
                    root.right = ptr::null_mut();
                } else {
                    ((*node).left, (*node).right) = (root.left, self.root);
                    ((*node).below, (*node).above) = (root.below, self.root);
                    root.left = ptr::null_mut();
                }
            }
            if let Some(below) = (*node).below.as_mut() {
                below.above = node;
            }
            if let Some(above) = (*node).above.as_mut() {
                above.below = node;
            }
        }
        self.root = node;
    }

    /// # Safety
    /// `node` is in the tree.
    pub(crate) unsafe fn remove(&mut self, node: *mut Links) {
        // SAFETY: [W3].
        unsafe {
            let Links { key, below, above, .. } = *node;
            self.splay(key);
            let Links { left, right, .. } = *node;
            if left.is_null() {
                self.root = right;
            } else {
                // The greatest of those below becomes their root: it has nothing on its right.
                self.root = left;
                self.splay(key);
                (*self.root).right = right;
            }
            if let Some(below) = below.as_mut() {
                below.above = above;
            }
            if let Some(above) = above.as_mut() {
                above.below = below;
            }
        }
    }

    /// Brings the block with this key to the root, or one of its two neighbours (Sleator and Tarjan, top down).
    fn splay(&mut self, key: usize) {
        let mut at = self.root;
        if at.is_null() {
            return;
        }
        let (mut lower, mut higher) = (ptr::null_mut(), ptr::null_mut());
        let (mut low, mut high): (*mut *mut Links, *mut *mut Links) = (&raw mut lower, &raw mut higher);
        // SAFETY: [W3] every link leads to a block of the tree; `low` and `high` are links of such blocks, or the two
        // locals above.
        unsafe {
            while key != (*at).key {
                if key < (*at).key {
                    let mut next = (*at).left;
                    if !next.is_null() && key < (*next).key {
                        (*at).left = (*next).right;
                        (*next).right = at;
                        at = next;
                        next = (*at).left;
                    }
                    if next.is_null() {
                        break;
                    }
                    *high = at;
                    high = &raw mut (*at).left;
                    at = next;
                } else {
                    let mut next = (*at).right;
                    if !next.is_null() && key > (*next).key {
                        (*at).right = (*next).left;
                        (*next).left = at;
                        at = next;
                        next = (*at).right;
                    }
                    if next.is_null() {
                        break;
                    }
                    *low = at;
                    low = &raw mut (*at).right;
                    at = next;
                }
            }
            *low = (*at).left;
            *high = (*at).right;
            (*at).left = lower;
            (*at).right = higher;
        }
        self.root = at;
    }
}

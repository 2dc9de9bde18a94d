//! Objects.

use archipelago_kernel::{guest::Family, object::Edge};

/// An object: a value, and the object that was kept before it. In the interpreter's object domain.
pub struct Node<'i> {
    pub(crate) value: i64,
    pub(crate) next: Option<Edge<'i, NodeFamily>>,
}

/// [`Node`] at every brand.
pub struct NodeFamily;

impl Family for NodeFamily {
    type At<'i> = Node<'i>;
}

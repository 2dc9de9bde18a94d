//! Objects hold references to objects, at the token's brand.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::{guest::Family, object::Edge},
};

struct Node<'i> {
    value: i64,
    next: Option<Edge<'i, NodeFamily>>,
}

struct NodeFamily;

impl Family for NodeFamily {
    type At<'i> = Node<'i>;
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let last = cx.alloc::<NodeFamily>(Node { value: 1, next: None }).ok().unwrap();
            let first = cx.alloc::<NodeFamily>(Node { value: 2, next: Some(last.into_edge()) }).ok().unwrap();
            let next = first.get(cx).next.as_ref().unwrap().local(cx).to_owned();
            cx.safepoint().unwrap();
            assert_eq!(first.get(cx).value + next.get(cx).value, 3);
            first.get_mut(cx).next = None;
            assert_eq!(next.get(cx).value, 1);
        })
        .unwrap();
}

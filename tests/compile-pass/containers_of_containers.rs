//! Containers lie in objects and in each other, are sent to be dropped, and are filled from one another.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::{
        collections::{Map, Rc, Text, Vec},
        guest::Family,
        object::Edge,
    },
};
use core::cell::RefCell;

struct Scope<'i> {
    names: RefCell<Map<'i, Text<'i>, Edge<'i, ScopeFamily>>>,
    lines: Vec<'i, Rc<'i, Text<'i>>>,
}

struct ScopeFamily;

impl Family for ScopeFamily {
    type At<'i> = Scope<'i>;
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let mut lines = Vec::new();
            let line = Rc::new(cx, Text::of(cx, "one").unwrap()).ok().unwrap();
            lines.push(cx, line.share(cx)).ok().unwrap();
            cx.safepoint().unwrap();
            let scope = Scope { names: RefCell::default(), lines };
            let scope = cx.alloc::<ScopeFamily>(scope).ok().unwrap();
            let mut name = Text::of(cx, "line ").unwrap();
            name.push_str(cx, line.get(cx).as_str(cx)).unwrap();
            let edge = scope.local(cx).to_owned().into_edge();
            scope.get(cx).names.borrow_mut().insert(cx, name, edge).ok().unwrap();
            assert!(scope.get(cx).names.borrow().contains_key(cx, "line one"));
            assert_eq!(scope.get(cx).lines.len(cx), 1);
            let names = scope.get(cx).names.take();
            cx.detach(|| std::thread::scope(|s| s.spawn(move || drop((names, line))).join().unwrap()));
            scope.release(cx);
            assert_eq!(cx.usage().mem.blocks, 0);
        })
        .unwrap();
}

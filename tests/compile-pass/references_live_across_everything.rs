//! What may live across safepoints, detaches and enters does.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::legacy(), None).unwrap();
    let shared = std::rc::Rc::new(core::cell::Cell::new(0));
    a.attach(|cx| {
        let object = cx.alloc_plain(String::from("kept")).unwrap();
        cx.safepoint().unwrap();
        // No Send is asked for: nothing leaves the thread.
        let inside = shared.clone();
        cx.detach(|| inside.set(1));
        cx.enter(&mut b, |cy| {
            let other = cy.alloc_plain(shared.get()).unwrap();
            cy.detach(|| ());
            assert_eq!(*other.get(cy), 1);
        })
        .unwrap();
        cx.call_out(|| drop(inside));
        let local = object.local(cx);
        assert_eq!(local.get(), object.get(cx), "looks are Copy and many");
        assert_eq!(local.get(), "kept");
        object.release(cx);
    })
    .unwrap();
}

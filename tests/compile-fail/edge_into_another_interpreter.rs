//! A reference does not come to lie in another interpreter's object.

use archipelago::{InterpreterConfig, Runtime};
use archipelago::kernel::{
    guest::{Family, Plain},
    object::Edge,
};

struct Link;

impl Family for Link {
    type At<'i> = Edge<'i, Plain<i64>>;
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let edge = cx.alloc_plain(1i64).unwrap().into_edge();
        cx.enter(&mut b, |cy| cy.alloc::<Link>(edge).is_ok()).unwrap();
    })
    .unwrap();
}

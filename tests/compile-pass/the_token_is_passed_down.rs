//! The token is passed to functions, by unique and by shared reference.

use archipelago::{
    Attached, InterpreterConfig, Runtime,
    kernel::{
        guest::Plain,
        memory::AllocError,
        object::{Local, Owned},
    },
};

fn made<'i>(cx: &Attached<'i>, value: i64) -> Result<Owned<'i, Plain<i64>>, AllocError> {
    cx.alloc_plain(value).map_err(|(_, error)| error)
}

fn looked<'a, 'i>(cx: &'a Attached<'i>, object: &Owned<'i, Plain<i64>>) -> Local<'a, 'i, Plain<i64>> {
    object.local(cx)
}

fn sum<'i>(cx: &mut Attached<'i>, numbers: &[Owned<'i, Plain<i64>>]) -> i64 {
    cx.safepoint().unwrap();
    numbers.iter().map(|number| *looked(cx, number).get()).sum()
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let total = state.attach(|cx| {
        let numbers = [made(cx, 1).unwrap(), made(cx, 2).unwrap()];
        *numbers[0].get_mut(cx) += 10;
        sum(cx, &numbers)
    });
    assert_eq!(total.unwrap(), 13);
}

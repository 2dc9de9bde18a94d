//! What a host keeps in an interpreter, by index and by name.

use archipelago_kernel::{
    guest::Plain,
    object::{AnyEdge, InterpreterLocal},
};

use crate::{
    TestHost,
    support::{Noisy, in_each, strategies},
};

static COUNTER: InterpreterLocal<Plain<u32>> = InterpreterLocal::new();
static OTHER: InterpreterLocal<Plain<Noisy>> = InterpreterLocal::new();

/// SPEC: O4, R6
pub fn each_interpreter_has_its_own_values<H: TestHost>() {
    let rt = H::started();
    let mut states: Vec<_> =
        strategies::<H>().iter().map(|config| rt.create(config, None).unwrap()).collect();
    let (noisy, drops) = Noisy::new();
    let mut noisy = Some(noisy);
    for (n, state) in states.iter_mut().enumerate() {
        state
            .attach(|cx| {
                assert!(COUNTER.get(cx).is_none() && COUNTER.take(cx).is_none());
                for value in [7, n as u32] {
                    let object = cx.alloc_plain(value).unwrap();
                    COUNTER.set(cx, object).ok().unwrap();
                }
                let value = noisy.take().unwrap_or_else(|| drops.another());
                let object = cx.alloc_plain(value).ok().unwrap();
                OTHER.set(cx, object).ok().unwrap();
            })
            .unwrap();
    }
    for (n, state) in states.iter_mut().enumerate() {
        state
            .attach(|cx| {
                assert_eq!(*COUNTER.get(cx).unwrap().get(), n as u32);
                *COUNTER.get(cx).unwrap().to_owned().get_mut(cx) += 1;
                let taken = COUNTER.take(cx).unwrap();
                assert_eq!(*taken.get(cx), n as u32 + 1);
                assert!(COUNTER.get(cx).is_none());
                taken.release(cx);
                assert_eq!(cx.usage().object.blocks, 1);
            })
            .unwrap();
        assert_eq!(drops.count(), n);
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean(), "what the host keeps is no leak");
        assert_eq!(drops.count(), n + 1);
    }
}

/// SPEC: L12
pub fn a_dictionary_for_the_host<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let (noisy, drops) = Noisy::new();
        state
            .attach(|cx| {
                assert!(cx.host_value::<Plain<u32>>("a").is_none());
                let object = cx.alloc_plain(noisy).ok().unwrap();
                cx.set_host_value("noisy", object).ok().unwrap();
                for n in 0..30_u32 {
                    let object = cx.alloc_plain(n).unwrap();
                    cx.set_host_value(&format!("{}", n % 10), object).ok().unwrap();
                }
                assert_eq!(*cx.host_value::<Plain<u32>>("3").unwrap().get(), 23);
                assert!(cx.host_value::<Plain<u64>>("3").is_none(), "by its type, too");
                assert!(cx.take_host_value::<Plain<u64>>("3").is_none());
                let taken = cx.take_host_value::<Plain<u32>>("3").unwrap();
                assert_eq!(*taken.get(cx), 23);
                assert!(cx.host_value::<Plain<u32>>("3").is_none());
            })
            .unwrap();
        state.attach(|cx| assert_eq!(*cx.host_value::<Plain<u32>>("4").unwrap().get(), 24)).unwrap();
        assert_eq!(drops.count(), 0);
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert!(ledger.is_clean(), "what the host keeps is no leak: {ledger:?}");
        assert_eq!(drops.count(), 1);
    }
}

/// SPEC: O1, L12
pub fn an_edge_to_any_object_tells_its_family<H: TestHost>() {
    in_each::<H>(|cx| {
        let (noisy, drops) = Noisy::new();
        let edge = AnyEdge::from(cx.alloc_plain((1_u8, noisy)).ok().unwrap());
        assert!(edge.local::<Plain<u32>, H>(cx).is_none());
        assert_eq!(edge.local::<Plain<(u8, Noisy)>, H>(cx).unwrap().get().0, 1);
        let edge = edge.into_owned::<Plain<u8>, H>(cx).err().unwrap();
        let owned = edge.into_owned::<Plain<(u8, Noisy)>, H>(cx).ok().unwrap();
        drop(AnyEdge::from(owned));
        cx.settle();
        assert_eq!(drops.count(), 1);
    });
}

//! Every limit from less than an interpreter takes to plenty.

use archipelago_kernel::{
    Attached, Host, Runtime,
    config::InterpreterConfig,
    error::{ConfigError, CreateError},
    guest::GuestTable,
    memory::{AllocCause, AllocError},
};

use crate::{
    TestHost,
    suite::limits::{Idle, Starter},
    support::{scaled, strategies},
};

/// Of an object that the interpreters are filled with.
const LARGE: usize = scaled(200, 4000);

/// Densely where it is decided whether an interpreter fits.
fn limits() -> impl Iterator<Item = usize> {
    let dense = (512..4096).step_by(scaled(64, 2048));
    dense.chain((4096..=64 << 10).step_by(scaled(1024, 60 << 10)))
}

/// Takes memory until it is refused, and no sooner than it has to be.
fn fill<H: Host>(cx: &Attached<'_, H>, most: usize) -> AllocCause {
    let AllocError { requested, cause, .. } = loop {
        assert!(cx.usage().bytes() <= most, "{} of {most}", cx.usage().bytes());
        match cx.alloc_plain([0_u8; LARGE]) {
            Ok(object) => core::mem::forget(object),
            Err((_, error)) => break error,
        }
    };
    assert_eq!(cx.available(), most - cx.usage().bytes());
    assert!(requested > cx.available(), "{requested} bytes of {} are refused", cx.available());
    cause
}

/// What the raw domain has given out, where it counts, when main's heap keeps nothing.
fn in_use<H: TestHost>(rt: &Runtime<H>) -> Option<usize> {
    rt.ensure(rt.main().unwrap(), |cx| cx.trim()).unwrap();
    H::raw_in_use(rt)
}

/// Tries all limits; `limited` is the config with one. Each interpreter that can be made is handed to `use_up`.
fn each_limit<H: TestHost>(
    rt: &Runtime<H>,
    guest: Option<&'static GuestTable<H>>,
    limited: impl Fn(usize) -> InterpreterConfig,
    use_up: impl Fn(&mut Attached<'_, H>, usize) -> usize,
) {
    let (mut worked, before) = (None, in_use(rt));
    for limit in limits() {
        let mut state = match rt.create(&limited(limit), guest) {
            Ok(state) => state,
            Err(error) => {
                assert_eq!(error, CreateError::Config(ConfigError::LimitBelowFootprint), "{limit}");
                assert_eq!(worked, None, "{limit}: refused where less was enough");
                assert_eq!((rt.count(), in_use(rt)), (Ok(1), before), "{limit}");
                continue;
            }
        };
        worked = worked.or(Some(limit));
        let most = state.attach(|cx| use_up(cx, limit)).unwrap();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert!(ledger.peak <= most, "{ledger:?}");
        drop(state);
        assert_eq!((rt.count(), in_use(rt)), (Ok(1), before), "{limit}");
    }
    let smallest = worked.expect("64 KiB are enough");
    assert!(smallest >= Runtime::<H>::INTERPRETER_BYTES, "{smallest} bytes cannot be enough");
}

/// (lupa issue 211, quickjs-ng issue 1181)
///
/// SPEC: M5, M6, C3, C7, L16
pub fn every_limit_works_or_is_refused<H: TestHost>() {
    const RESERVE: usize = 2 * LARGE;
    let rt = H::started();
    // They leave slots, and main has a thread state more.
    for config in strategies::<H>() {
        let state = rt.create(&config, None).unwrap();
        rt.end(state.interpreter(), None).unwrap();
        in_use(&rt);
    }
    let guests = &[Some(GuestTable::of::<Idle<Starter>>()), None][..scaled(2, 1)];
    for (config, guest) in
        strategies::<H>().into_iter().flat_map(|config| guests.iter().map(move |guest| (config, *guest)))
    {
        each_limit(
            &rt,
            guest,
            |limit| config.with_memory_limit(Some(limit)),
            |cx, limit| {
                assert_eq!(fill(cx, limit), AllocCause::HardLimit);
                limit
            },
        );
        let soft = |limit| config.with_memory_soft_limit(Some(limit)).with_memory_reserve(RESERVE);
        each_limit(&rt, guest, soft, |cx, limit| {
            assert_eq!(fill(cx, limit), AllocCause::SoftLimit);
            assert_eq!(cx.with_reserve(|cx| fill(cx, limit + RESERVE)), AllocCause::SoftLimit);
            limit + RESERVE
        });
    }
    assert!(rt.finalize(None).unwrap().main.is_clean());
}

//! What a host keeps in an interpreter.

use archipelago_kernel::{config::InterpreterConfig, guest::Plain, object::InterpreterLocal};

use crate::{every_nth, exhausted, inside, inside_at_every_nth, running};

static KEPT: InterpreterLocal<Plain<u32>> = InterpreterLocal::new();

#[test]
fn what_the_host_keeps_at_every_allocation() {
    inside_at_every_nth(|cx, arm| {
        let object = cx.alloc_plain(1_u32).expect("memory");
        arm();
        KEPT.set(cx, object).map_err(|(object, error)| {
            assert!(KEPT.get(cx).is_none());
            object.release(cx);
            error
        })
    });
    inside_at_every_nth(|cx, arm| {
        let object = cx.alloc_plain(2_u32).expect("memory");
        arm();
        cx.set_host_value("name", object).map_err(|(object, error)| {
            assert!(cx.host_value::<Plain<u32>>("name").is_none());
            object.release(cx);
            error
        })?;
        assert_eq!(cx.host_value::<Plain<u32>>("name").map(|value| *value.get()), Some(2));
        Ok(())
    });
}

/// The table is as long as the largest index needs, and the later one gets the larger.
static FIRST: InterpreterLocal<Plain<u32>> = InterpreterLocal::new();
static LATER: InterpreterLocal<Plain<u32>> = InterpreterLocal::new();

#[test]
fn a_longer_table_of_values_at_every_allocation() {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&config, None).expect("memory"));
                let set = inside(rt, |cx| {
                    let object = cx.alloc_plain(1).expect("memory");
                    FIRST.set(cx, object).map_err(|(_, error)| error.into())
                });
                assert_eq!(set, Ok(()));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    let object = cx.alloc_plain(2).expect("memory");
                    failure.arm(rt);
                    let set = LATER.set(cx, object).map_err(|(object, error)| {
                        assert_eq!(*object.get(cx), 2, "the reference comes back");
                        object.release(cx);
                        error.into()
                    });
                    assert_eq!(LATER.get(cx).map(|kept| *kept.get()), set.is_ok().then_some(2));
                    assert_eq!(FIRST.get(cx).map(|kept| *kept.get()), Some(1), "what was there stays");
                    set
                })
            },
            exhausted,
        );
    }
}

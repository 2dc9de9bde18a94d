//! Group m: guests: the main slot, and the data of thread states.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use archipelago_kernel::{
    Attached, ThreadState,
    config::InterpreterConfig,
    error::{AttachError, EndError, GuestError},
    guest::{Fault, Guest, GuestTable, Plain, Step, Value},
};
use archipelago_loom_tests::{Carry, LoomHost, LoomRuntime, model, second};
use loom::thread;

/// A guest whose program does nothing for a while, with the GIL let go. Its state: how many run.
struct Idle;

impl Guest<LoomHost> for Idle {
    type State = Plain<usize>;
    type Thread = Plain<()>;

    fn start(_: &mut Attached<'_, LoomHost>) -> Result<usize, GuestError> {
        Ok(0)
    }

    fn start_thread(_: &mut Attached<'_, LoomHost>) -> Result<(), GuestError> {
        Ok(())
    }

    fn exec(cx: &mut Attached<'_, LoomHost>, _: &[u8]) -> Step {
        let running = |cx: &mut Attached<'_, LoomHost>| *cx.guest::<Idle>().unwrap().state;
        assert_eq!(running(cx), 0, "one run at a time");
        *cx.guest::<Idle>().unwrap().state += 1;
        cx.detach(thread::yield_now);
        assert_eq!(running(cx), 1);
        *cx.guest::<Idle>().unwrap().state -= 1;
        assert_eq!(cx.safepoint(), Ok(()), "nobody ends it while it runs");
        Step::Done(Value::None)
    }

    fn resume(_: &mut Attached<'_, LoomHost>) -> Step {
        Step::Yielded
    }

    fn end(cx: &mut Attached<'_, LoomHost>) {
        assert_eq!(*cx.guest::<Idle>().unwrap().state, 0, "it does not end while it runs");
    }
}

const DONE: Step = Step::Done(Value::None);
const REFUSED: Step = Step::Failed(Fault::Refused(GuestError::AlreadyRunning));

fn with_guest<G: Guest<LoomHost>>(rt: LoomRuntime) -> ThreadState<'static, LoomHost> {
    rt.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<G>())).unwrap()
}

/// Two runs of one interpreter: one after the other, or one is refused.
#[test]
fn two_runs() {
    model("guests::two_runs", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_guest::<Idle>(rt);
        let other = second(&state);
        let thread = thread::spawn(move || other.take().attach(|cx| cx.exec(b"")).unwrap());
        let steps = [state.attach(|cx| cx.exec(b"")).unwrap(), thread.join().unwrap()];
        assert!(
            steps.contains(&DONE) && steps.iter().all(|step| [DONE, REFUSED].contains(step)),
            "{steps:?}"
        );
        assert_eq!(rt.interpreter(state.interpreter()).unwrap().is_running(), Ok(false));
    });
}

/// A close is refused while a run is under way, and no run begins once it has the main slot.
#[test]
fn close_against_run() {
    model("guests::close_against_run", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_guest::<Idle>(rt);
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        let thread = thread::spawn(move || interpreter.close(None));
        let step = state.attach(|cx| cx.exec(b""));
        match thread.join().unwrap() {
            Ok(ledger) => assert!(ledger.is_clean()),
            Err(error) => assert_eq!((error, step), (EndError::Running, Ok(DONE))),
        }
        let ending = |error| matches!(error, AttachError::Finalizing | AttachError::Ended);
        assert!(step.map_or_else(ending, |step| [DONE, REFUSED].contains(&step)), "{step:?}");
    });
}

/// Two closers, and a run that begins meanwhile or is refused: where the one gives up for the other, the main slot stays
/// taken.
#[test]
fn two_closers_against_run() {
    model("guests::two_closers_against_run", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_guest::<Idle>(rt);
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        let closers = [interpreter, interpreter]
            .map(|interpreter| thread::spawn(move || interpreter.close(None).is_ok()));
        thread::yield_now();
        let step = state.attach(|cx| cx.exec(b""));
        let closed = closers.map(|closer| closer.join().unwrap());
        assert!(closed != [true, true] && (closed != [false, false] || step == Ok(DONE)));
    });
}

/// Data of thread states that was made and is not dropped yet. Not loom's, so that it orders nothing; one model only.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

struct Data;

impl Drop for Data {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
    }
}

/// A guest that keeps data in its thread states.
struct Keeping;

impl Guest<LoomHost> for Keeping {
    type State = Plain<()>;
    type Thread = Plain<Data>;

    fn start(_: &mut Attached<'_, LoomHost>) -> Result<(), GuestError> {
        Ok(())
    }

    fn start_thread(_: &mut Attached<'_, LoomHost>) -> Result<Data, GuestError> {
        ALIVE.fetch_add(1, Relaxed);
        Ok(Data)
    }

    fn exec(_: &mut Attached<'_, LoomHost>, _: &[u8]) -> Step {
        Step::Yielded
    }

    fn resume(_: &mut Attached<'_, LoomHost>) -> Step {
        Step::Yielded
    }
}

/// A thread state with data of the guest is dropped while its interpreter ends: the data goes once, by the one or by the
/// other.
#[test]
fn end_against_delete() {
    model("guests::end_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_guest::<Keeping>(rt);
        state.attach(|cx| assert!(cx.guest::<Keeping>().is_ok())).unwrap();
        assert_eq!(ALIVE.load(Relaxed), 1);
        let (id, state) = (state.interpreter(), Carry::new(state));
        let thread = thread::spawn(move || drop(state.take()));
        let ledger = rt.end(id, None).unwrap();
        thread.join().unwrap();
        assert!(ledger.is_clean(), "{ledger:?}");
        assert_eq!(ALIVE.load(Relaxed), 0);
        assert_eq!(rt.count(), Ok(1));
    });
}

;; Counts the primes below ten million with a sieve and prints how many there are.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 154) ;; 64 KiB for text, ten million bytes from 65536 for the sieve
  (global $limit i32 (i32.const 10000000))

  (func $mark (param $step i32) ;; crosses out the multiples of a prime, from its square
    (local $at i32)
    (local.set $at (i32.mul (local.get $step) (local.get $step)))
    (loop $next
      (if (i32.lt_u (local.get $at) (global.get $limit))
        (then
          (i32.store8 offset=65536 (local.get $at) (i32.const 1))
          (local.set $at (i32.add (local.get $at) (local.get $step)))
          (br $next)))))

  (func $count (result i32)
    (local $n i32) (local $primes i32)
    (local.set $n (i32.const 2))
    (loop $next
      (if (i32.eqz (i32.load8_u offset=65536 (local.get $n)))
        (then
          (local.set $primes (i32.add (local.get $primes) (i32.const 1)))
          (if (i32.le_u (local.get $n) (i32.const 3162)) ;; the root of the limit
            (then (call $mark (local.get $n))))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (global.get $limit))))
    (local.get $primes))

  (data (i32.const 32) " primes below 10000000\n") ;; 23 bytes

  (func (export "_start")
    (local $n i32) (local $at i32)
    (local.set $n (call $count))
    (local.set $at (i32.const 32))
    (loop $digit ;; decimal digits, written backwards before the text
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digit (local.get $n)))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 55) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))

;; Computes for a few seconds and prints a checksum: FNV-1a over a counter, mixed with a linear congruential generator.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\1a\00\00\00") ;; one vector: 26 bytes at 16
  (data (i32.const 16) "checksum 0000000000000000\n")
  (data (i32.const 64) "0123456789abcdef")

  (func $compute (param $rounds i64) (result i64)
    (local $hash i64) (local $state i64)
    (local.set $hash (i64.const 0xcbf29ce484222325))
    (local.set $state (i64.const 1))
    (loop $round
      (local.set $state
        (i64.add
          (i64.mul (local.get $state) (i64.const 6364136223846793005))
          (i64.const 1442695040888963407)))
      (local.set $hash
        (i64.mul
          (i64.xor (local.get $hash) (i64.shr_u (local.get $state) (i64.const 33)))
          (i64.const 0x100000001b3)))
      (local.set $hash
        (i64.rotl
          (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 29)))
          (i64.and (local.get $state) (i64.const 15))))
      (local.set $rounds (i64.sub (local.get $rounds) (i64.const 1)))
      (br_if $round (i64.ne (local.get $rounds) (i64.const 0))))
    (local.get $hash))

  (func (export "_start")
    (local $hash i64) (local $at i32)
    (local.set $hash (call $compute (i64.const 300000000)))
    (local.set $at (i32.const 40)) ;; the last digit
    (loop $digit
      (i32.store8 (local.get $at)
        (i32.load8_u offset=64 (i32.wrap_i64 (i64.and (local.get $hash) (i64.const 15)))))
      (local.set $hash (i64.shr_u (local.get $hash) (i64.const 4)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $digit (i32.ge_u (local.get $at) (i32.const 25))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))

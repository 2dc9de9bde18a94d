;; Copies standard input to standard output until it ends.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)

  (func (export "_start")
    (local $left i32) (local $done i32)
    (loop $read
      (i32.store (i32.const 0) (i32.const 1024)) ;; the vector: address, length
      (i32.store (i32.const 4) (i32.const 65536))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (call $proc_exit (i32.const 1))))
      (local.set $left (i32.load (i32.const 8)))
      (if (i32.eqz (local.get $left)) (then (return)))
      (loop $write ;; a write may take less than it was given
        (i32.store (i32.const 4) (local.get $left))
        (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
          (then (call $proc_exit (i32.const 1))))
        (local.set $done (i32.load (i32.const 8)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $done)))
        (local.set $left (i32.sub (local.get $left) (local.get $done)))
        (br_if $write (local.get $left)))
      (br $read))))

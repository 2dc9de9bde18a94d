;; Writes to standard output for ever; ends with exit code 1 when a write fails, for example because nobody reads.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\06\00\00\00") ;; one vector: 6 bytes at 16
  (data (i32.const 16) "flood\n")
  (func (export "_start")
    (loop $again
      (br_if $again
        (i32.eqz (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
    (call $proc_exit (i32.const 1))))

;; A filter for Envoy (proxy-wasm, ABI 0.2.1) that does what examples/api_key does: it lets a request in if the header
;; X-Api-Key is the configured key, compared in constant time, and answers 401 otherwise. It is written by hand because
;; Rust's proxy-wasm needs the target wasm32-wasip1; so it costs Envoy no more than a compiled one would.
(module
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 16) "x-api-key")

  ;; What the host allocates, after each other. The key stays; what a request needs is gone with the next.
  (global $free (mut i32) (i32.const 1024))
  (global $kept (mut i32) (i32.const 1024))
  (global $key (mut i32) (i32.const 0))
  (global $length (mut i32) (i32.const 0))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))

  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))

  ;; Buffer 7 is the plugin's configuration. Pointers and lengths of the host come to 0 and 4.
  (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
    (drop (call $buffer (i32.const 7) (i32.const 0) (local.get $size) (i32.const 0) (i32.const 4)))
    (global.set $key (i32.load (i32.const 0)))
    (global.set $length (i32.load (i32.const 4)))
    (global.set $kept (global.get $free))
    (i32.ne (global.get $length) (i32.const 0)))

  ;; 0 goes on, 1 stops.
  (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $last i32) (result i32)
    (local $index i32) (local $difference i32)
    (global.set $free (global.get $kept))
    (i32.store (i32.const 4) (i32.const 0))
    (drop (call $header (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 0) (i32.const 4)))
    (local.set $difference (i32.xor (i32.load (i32.const 4)) (global.get $length)))
    (if (i32.eqz (local.get $difference))
      (then
        (loop $next
          (local.set $difference
            (i32.or (local.get $difference)
              (i32.xor
                (i32.load8_u (i32.add (i32.load (i32.const 0)) (local.get $index)))
                (i32.load8_u (i32.add (global.get $key) (local.get $index))))))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $index) (global.get $length))))))
    (if (i32.eqz (local.get $difference)) (then (return (i32.const 0))))
    (drop (call $respond
      (i32.const 401) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))

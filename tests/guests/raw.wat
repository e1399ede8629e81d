;; An authenticator written instruction by instruction, which knows everybody as alice. The tests replace the parts in
;; @@…@@ one at a time, with what no compiler would write: see tests/e2e/harness/raw.py.
(component
  (import "portcullis:auth/types@0.2.0" (instance $types
    (export "request" (type $request (sub resource)))
    (export "[method]request.header"
      (func (param "self" (borrow $request)) (param "name" string) (result (list (list u8)))))
    (type $user' (record
      (field "name" string) (field "groups" (list string)) (field "admin" bool)
      (field "attributes" (list (tuple string string)))))
    (export "user" (type $user (eq $user')))
    (type $grant' (record
      (field "user" $user) (field "valid-for" (option u32))
      (field "response-headers" (list (tuple string (list u8))))))
    (export "grant" (type $grant (eq $grant')))
    (type $challenge' (record (field "scheme" string) (field "parameters" (list (tuple string string)))))
    (export "challenge" (type $challenge (eq $challenge')))
    (type $response' (record
      (field "status" u16) (field "headers" (list (tuple string (list u8)))) (field "body" (list u8))))
    (export "response" (type $response (eq $response')))
    (type $refusal' (variant
      (case "not-mine" (option $challenge))
      (case "unauthenticated" (tuple string (option $challenge)))
      (case "forbidden" (tuple string (option $challenge)))
      (case "respond" $response)
      (case "unavailable" string)))
    (export "refusal" (type $refusal (eq $refusal')))))
  (alias export $types "request" (type $request))
  (alias export $types "grant" (type $grant))
  (alias export $types "refusal" (type $refusal))
  (import "portcullis:auth/cache@0.2.0" (instance $cache
    (export "add" (func (param "key" string) (param "value" (list u8)) (param "ttl-seconds" u32) (result bool)))))
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging
    (type $level' (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level')))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
  @@imports@@

  ;; Memory. 0: the plugin's own; 256: its answer, result<grant, refusal>; 512: texts; 4096 and up: the host's.
  (core module $libc
    @@memory@@
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      @@realloc@@
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $header (canon lower (func $types "[method]request.header")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $add (canon lower (func $cache "add") (memory (core memory $libc "memory"))))
  (core func $log (canon lower (func $logging "log") (memory (core memory $libc "memory"))))
  (core func $drop (canon resource.drop $request))
  @@components@@

  (core module $plugin
    (import "libc" "memory" (memory 1))
    (import "host" "header" (func $header (param i32 i32 i32 i32)))
    (import "host" "add" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (data (i32.const 260) "\00\02\00\00\05\00\00\00")      ;; the user's name: 5 bytes at 512
    (data (i32.const 128) "\08\02\00\00\02\00\00\00")      ;; the schema: 2 bytes at 520
    (data (i32.const 512) "alice")
    (data (i32.const 520) "{}")
    (data (i32.const 528) "x-do")
    @@module@@
    ;; Whether the plugin was configured before, in another instance: the gateway's cache remembers it.
    (func $again (result i32)
      (i32.eqz (call $add (i32.const 512) (i32.const 5) (i32.const 512) (i32.const 5) (i32.const 3600))))
    (func (export "settings-schema") (result i32)
      @@schema@@
      (i32.const 128))
    (func (export "configure") (param i32 i32) (result i32)
      @@configure@@
      (i32.const 192))
    (func (export "authenticate") (param $request i32) (result i32)
      @@authenticate@@
      (call $drop (local.get $request))
      (i32.const 256))
    (func (export "after") (param $answer i32)
      @@after@@))
  (core instance $plugin (instantiate $plugin
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "header" (func $header)) (export "add" (func $add)) (export "log" (func $log))
      (export "drop" (func $drop))))))

  (func $settings-schema (result string) (canon lift (core func $plugin "settings-schema") (memory (core memory $libc "memory"))))
  (func $configure (param "settings" string) (result (result (error string)))
    (canon lift (core func $plugin "configure") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (func $authenticate (param "request" (borrow $request)) (result (result $grant (error $refusal)))
    (canon lift (core func $plugin "authenticate") (memory (core memory $libc "memory")) (post-return (core func $plugin "after"))))
  (instance $configurable
    (export "settings-schema" (func $settings-schema))
    (export "configure" (func $configure)))
  (export "portcullis:auth/plugin@0.2.0" (instance $configurable))
  (instance $authenticator
    (export "authenticate" (func $authenticate)))
  (export "portcullis:auth/authenticator@0.2.0" (instance $authenticator)))

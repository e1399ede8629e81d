package main

// The canonical ABI of the component model, as far as this plugin needs it: the functions that the gateway calls, and the
// one that it offers. https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md says how values
// lie in memory.

import "unsafe"

type request int32

// All values of a header, in the order of arrival.
func (r request) header(name string) [][]byte {
	var list [2]uint32
	importHeader(int32(r), unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(&list))
	values := make([][]byte, 0, list[1])
	for i := uint32(0); i < list[1]; i++ {
		value := (*[2]uint32)(at(list[0] + 8*i))
		values = append(values, append([]byte{}, unsafe.Slice((*byte)(at(value[0])), value[1])...))
	}
	return values
}

// A refusal: the case of the variant, and its text, if it has one.
type refusal struct {
	variant uint32
	reason  string
}

func notMine() *refusal                      { return &refusal{variant: 0} }
func unauthenticated(reason string) *refusal { return &refusal{variant: 1, reason: reason} }
func unavailable(reason string) *refusal     { return &refusal{variant: 4, reason: reason} }

// What the gateway calls returns here. It reads it before it calls again. The texts stay in kept until then.
var (
	result [12]uint32
	kept   string
)

func keep(text string) (uint32, uint32) {
	kept = text
	return address(unsafe.Pointer(unsafe.StringData(kept))), uint32(len(kept))
}

//go:wasmexport portcullis:auth/authenticator@0.1.0#settings-schema
func exportSettingsSchema() unsafe.Pointer {
	result = [12]uint32{}
	result[0], result[1] = keep(schema)
	return unsafe.Pointer(&result)
}

//go:wasmexport portcullis:auth/authenticator@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	err := configure(string(unsafe.Slice((*byte)(text), size)))
	free()
	result = [12]uint32{}
	if err != nil {
		result[0] = 1
		result[1], result[2] = keep(err.Error())
	}
	return unsafe.Pointer(&result)
}

//go:wasmexport portcullis:auth/authenticator@0.1.0#authenticate
func exportAuthenticate(handle int32) unsafe.Pointer {
	name, refused := authenticate(request(handle))
	importDrop(handle)
	free()
	result = [12]uint32{}
	if refused == nil {
		// A user of this name without groups and attributes, who is no administrator, for this request alone.
		result[1], result[2] = keep(name)
		return unsafe.Pointer(&result)
	}
	result[0], result[1] = 1, refused.variant
	if refused.reason != "" {
		result[2], result[3] = keep(refused.reason)
	}
	return unsafe.Pointer(&result)
}

//go:wasmimport portcullis:auth/types@0.1.0 [method]request.header
func importHeader(request int32, name unsafe.Pointer, size uint32, list unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.1.0 [resource-drop]request
func importDrop(request int32)

// Where the gateway puts what it passes: at most 64 KiB of headers, their lists, and what the adapter of WASI needs. It is
// here and not on Go's heap, because the gateway may ask for it before Go's runtime has started, and because a collection of
// garbage would call the gateway, which is forbidden meanwhile.
var (
	arena       [64 * 1024]uint64
	used, first uint32
)

func init() { first = used }

func free() { used = first }

//go:wasmexport cabi_realloc
func exportRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	used = (used + align - 1) &^ (align - 1)
	if old != nil || size > uint32(unsafe.Sizeof(arena))-used {
		panic("the request is too large")
	}
	pointer := unsafe.Add(unsafe.Pointer(&arena), used)
	used += size
	return pointer
}

// A pointer has 64 bits in Go and 32 bits in WebAssembly.
func address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

func at(address uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(address)) }

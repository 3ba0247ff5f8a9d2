package kernels

import (
	"fmt"
	"unsafe"
)

// Activation is the function that an epilogue applies to a product after its bias.
type Activation uint8

const (
	// ActNone is the identity.
	ActNone Activation = iota
	// ActRelu replaces values below 0 by 0; NaN and -0 stay.
	ActRelu
)

// Epilogue is what happens to a product before it is stored. The zero value stores the product as it is.
//
// Each element takes these float32 steps, each one rounded and none of them fused: an integer product first
// becomes f32(acc) * scale[j]; then + Bias[j], then Act, then + Add[i, j].
type Epilogue struct {
	// Bias has one value per column, or is nil.
	Bias []float32
	Act  Activation
	// Add is a residual [M, N] with row stride LdAdd, or nil. It may be the destination itself (same first
	// element, same stride), and must not overlap it in any other way.
	Add   []float32
	LdAdd int
	// Ahead is what is read after the product; it is asked for meanwhile. nil: nothing.
	Ahead *Ahead
}

// finish applies e to the elements (i, j0..j0+len(acc)) of a product and writes them to dst.
func (e *Epilogue) finish(dst, acc []float32, i, j0 int) {
	dst = dst[:len(acc)]
	if e.Bias != nil {
		for j, b := range e.Bias[j0 : j0+len(acc)] {
			acc[j] += b
		}
	}
	if e.Act == ActRelu {
		for j, y := range acc {
			if y < 0 {
				acc[j] = 0
			}
		}
	}
	if e.Add != nil {
		for j, r := range e.Add[i*e.LdAdd+j0:][:len(acc)] {
			acc[j] += r
		}
	}
	copy(dst, acc)
}

// check panics unless the operands of e cover an [m, n] product.
func (e *Epilogue) check(name string, m, n int) {
	if e.Bias != nil && len(e.Bias) < n {
		panic(fmt.Sprintf("kernels: %s: len(Bias) = %d, want %d", name, len(e.Bias), n))
	}
	if e.Add != nil {
		checkMatrix(name, "Add", len(e.Add), m, n, e.LdAdd)
	}
}

// checkMatrix panics unless a slice of the given length holds rows x cols elements with row stride ld.
func checkMatrix(name, operand string, length, rows, cols, ld int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("kernels: %s: %s is [%d, %d]", name, operand, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if rows > 1 && ld < cols {
		panic(fmt.Sprintf("kernels: %s: row stride of %s = %d, want at least %d", name, operand, ld, cols))
	}
	if need := (rows-1)*ld + cols; length < need {
		panic(fmt.Sprintf("kernels: %s: len(%s) = %d, want %d", name, operand, length, need))
	}
}

// aligned returns n zero elements whose first one lies on a cache line, so that no vector load of a panel
// is split.
func aligned[T any](n int) []T { return alignedTo[T](n, 64) }

// alignedTo returns n zero elements whose first one lies on a multiple of unit bytes.
func alignedTo[T any](n, unit int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	s := make([]T, n+unit/size)
	offset := 0
	if rest := int(uintptr(unsafe.Pointer(unsafe.SliceData(s))) % uintptr(unit)); rest != 0 {
		offset = (unit - rest) / size
	}
	return s[offset : offset+n : offset+n]
}

// grow returns buf with length n, of which it keeps nothing; it allocates only when buf is too small. A
// buffer that grows a second time gets room for more.
func grow[T any](buf []T, n int) []T {
	switch {
	case n <= cap(buf):
		return buf[:n]
	case cap(buf) == 0:
		return aligned[T](n)
	}
	return aligned[T](n + n/2)[:n]
}

// roundUp returns the least multiple of unit that is at least n.
func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

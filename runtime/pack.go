package runtime

import (
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// packer lays constant weights out for the kernels, each once a plan however many steps read it.
type packer struct {
	kernels *kernels.Set
	f32     map[packKey]*kernels.PackedF32
	s8      map[packKey]*kernels.PackedS8
}

// packKey is a weight matrix: the first byte of its elements (constants are not copied) and the way it is read.
type packKey struct {
	data *byte
	k, n int
	t    bool
}

func newPacker(k *kernels.Set) *packer {
	return &packer{kernels: k, f32: map[packKey]*kernels.PackedF32{}, s8: map[packKey]*kernels.PackedS8{}}
}

// weightShape returns the rows and columns of matrix w, read transposed or not; false unless it has rank 2 and elements.
func weightShape(w *tensor.Tensor, transposed bool) (k, n int, ok bool) {
	if w == nil || w.Rank() != 2 || w.Len() == 0 {
		return 0, 0, false
	}
	k, n = w.Shape()[0], w.Shape()[1]
	if transposed {
		k, n = n, k
	}
	return k, n, true
}

// packF32 packs w, [k, n], or [n, k] where transposed.
func (p *packer) packF32(w *tensor.Tensor, transposed bool) (*kernels.PackedF32, bool) {
	k, n, ok := weightShape(w, transposed)
	if !ok || w.DType() != tensor.Float32 {
		return nil, false
	}
	key := packKey{&w.Bytes()[0], k, n, transposed}
	if p.f32[key] == nil {
		p.f32[key] = p.kernels.PackF32(tensor.Data[float32](w), k, n, w.Shape()[1], transposed)
		w.Release() // the plan has its own copy now
	}
	return p.f32[key], true
}

// packS8 packs the codes w, [k, n], or [n, k] where transposed.
func (p *packer) packS8(w *tensor.Tensor, transposed bool) (*kernels.PackedS8, bool) {
	k, n, ok := weightShape(w, transposed)
	if !ok || (w.DType() != tensor.Qint8 && w.DType() != tensor.Int8) {
		return nil, false
	}
	key := packKey{&w.Bytes()[0], k, n, transposed}
	if p.s8[key] == nil {
		p.s8[key] = p.kernels.PackS8(tensor.Data[int8](w), k, n, w.Shape()[1], transposed)
		w.Release()
	}
	return p.s8[key], true
}

package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// emulation is QuantizeAndDequantizeV2, V3 and V4: floats are rounded to what codes can express and stay floats.
type emulation struct {
	signed, given, narrow bool
	halfUp                bool
	axis                  int
	bits                  int // 0: input 3 says
}

func quantizeAndDequantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	e := emulation{signed: r.Bool("signed_input"), given: r.Bool("range_given"), narrow: r.Bool("narrow_range"), axis: int(r.Int("axis"))}
	round := "HALF_TO_EVEN"
	if n.Op() != "QuantizeAndDequantizeV3" {
		e.bits = int(r.Int("num_bits"))
		round = r.Str("round_mode")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if round != "HALF_TO_EVEN" && round != "HALF_UP" {
		return nil, fmt.Errorf("round_mode is %q, want HALF_TO_EVEN or HALF_UP", round)
	}
	e.halfUp = round == "HALF_UP"
	if n.Op() != "QuantizeAndDequantizeV3" {
		if err := e.checkBits(e.bits); err != nil {
			return nil, err
		}
	}
	return e.eval, nil
}

func (e emulation) checkBits(bits int) error {
	least := 1
	if e.signed {
		least = 2
	}
	if bits < least || bits > 62 {
		return fmt.Errorf("num_bits is %d, want %d..62", bits, least)
	}
	return nil
}

func (e emulation) eval(c *call) error {
	x := c.in(0)
	if e.bits == 0 {
		bits, err := scalarIndex(c.in(3), "num_bits")
		if err != nil {
			return err
		}
		if err := e.checkBits(bits); err != nil {
			return err
		}
		e.bits = bits
	}
	outer, length, inner, err := axisSizes(x.Shape(), e.axis)
	if err != nil {
		return err
	}
	switch x.DType() {
	case tensor.Float32:
		return emulate[float32](c, e, outer, length, inner, math.MaxFloat32)
	case tensor.Float64:
		return emulate[float64](c, e, outer, length, inner, math.MaxFloat64)
	}
	return fmt.Errorf("input is %v, want float or double", x.DType())
}

// emulate computes output 0 slice by slice, in T as TensorFlow does.
func emulate[T float32 | float64](c *call, e emulation, outer, length, inner int, largest T) error {
	x := c.in(0)
	var los, his []T
	if e.given {
		for i, v := range []*[]T{&los, &his} {
			r := c.in(1 + i)
			if r.DType() != x.DType() || r.Len() != length {
				return fmt.Errorf("input %d is %v %v, want %v [%d]", 1+i, r.DType(), r.Shape(), x.DType(), length)
			}
			*v = tensor.Data[T](r)
		}
	}
	t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
	if err != nil || x.Len() == 0 {
		return err
	}
	dst, src := tensor.Data[T](t), tensor.Data[T](x)
	for ch := range length {
		var lo, hi T
		if e.given {
			if lo, hi = los[ch], his[ch]; !(lo <= hi) {
				return fmt.Errorf("the range is %v to %v, want input_min at most input_max", lo, hi)
			}
		} else {
			lo, hi = src[ch*inner], src[ch*inner]
			for o := range outer {
				for _, v := range src[(o*length+ch)*inner:][:inner] {
					lo, hi = min(lo, v), max(hi, v)
				}
			}
		}
		scale, inverse, lo, hi := emulatedScale(e, lo, hi, largest)
		for o := range outer {
			at := (o*length + ch) * inner
			for i, v := range src[at:][:inner] {
				if e.given && v == v {
					v = max(min(v, hi), lo)
				}
				y := float64(v * scale)
				if e.halfUp {
					y = math.Floor(float64(T(y) + 0.5))
				} else {
					y = math.RoundToEven(y)
				}
				dst[at+i] = T(y) * inverse
			}
		}
	}
	return nil
}

// emulatedScale returns the codes per unit that keep the range lo..hi within the codes, its inverse, and the range that the
// codes then cover.
func emulatedScale[T float32 | float64](e emulation, lo, hi, largest T) (scale, inverse, newLo, newHi T) {
	bottom, top := T(0), T(int64(1)<<e.bits-1)
	if e.signed {
		bottom, top = -T(int64(1)<<(e.bits-1)), T(int64(1)<<(e.bits-1)-1)
		if e.narrow {
			bottom++
		}
	}
	low, high := largest, largest
	if bottom*lo > 0 {
		low = bottom / lo
	}
	if top*hi > 0 {
		high = top / hi
	}
	if low < high {
		inverse = lo / bottom
		return low, inverse, lo, top * inverse
	}
	inverse = hi / top
	return high, inverse, bottom * inverse, hi
}

// fakeQuant is the FakeQuantWithMinMax ops: like emulation, with a range that is nudged until 0 is a code.
type fakeQuant struct {
	bottom, top float32
	lo, hi      float32 // of FakeQuantWithMinMaxArgs
	args        bool
	perChannel  bool
}

func fakeQuantOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	bits, narrow := r.Int("num_bits"), r.Bool("narrow_range")
	f := fakeQuant{args: n.Op() == "FakeQuantWithMinMaxArgs", perChannel: n.Op() == "FakeQuantWithMinMaxVarsPerChannel"}
	if f.args {
		f.lo, f.hi = r.Float("min"), r.Float("max")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if bits < 2 || bits > 16 {
		return nil, fmt.Errorf("num_bits is %d, want 2..16", bits)
	}
	if f.args && !(f.lo < f.hi) {
		return nil, fmt.Errorf("min is %v and max %v, want min less than max", f.lo, f.hi)
	}
	f.top = float32(int(1)<<bits - 1)
	if narrow {
		f.bottom = 1
	}
	return f.eval, nil
}

func (f fakeQuant) eval(c *call) error {
	x := c.in(0)
	if err := wantInput(c, 0, tensor.Float32); err != nil {
		return err
	}
	channels := 1
	if f.perChannel {
		if x.Rank() == 0 {
			return fmt.Errorf("input is a scalar, want rank 1 or more")
		}
		channels = x.Shape()[x.Rank()-1]
	}
	var los, his []float32
	if !f.args {
		var err error
		if los, his, err = channelRanges(c, 1, channels); err != nil {
			return err
		}
	}
	t, err := c.allocOver(0, tensor.Float32, x.Shape(), 1)
	if err != nil {
		return err
	}
	dst, src := tensor.Data[float32](t), tensor.Data[float32](x)
	for ch := range channels {
		lo, hi := f.lo, f.hi
		if !f.args {
			lo, hi = los[ch], his[ch]
		}
		if !(lo <= hi) {
			return fmt.Errorf("the range is %v to %v, want min at most max", lo, hi)
		}
		f.channel(dst, src, ch, channels, lo, hi)
	}
	return nil
}

// channel computes the elements first, first+step, …; every product and sum is rounded to float32.
func (f fakeQuant) channel(dst, src []float32, first, step int, lo, hi float32) {
	if lo == 0 && hi == 0 {
		for i := first; i < len(src); i += step {
			dst[i] = 0
		}
		return
	}
	scale := (hi - lo) / (f.top - f.bottom)
	zero := f.bottom - lo/scale
	switch {
	case zero < f.bottom:
		zero = f.bottom
	case zero > f.top:
		zero = f.top
	default:
		zero = floor32(zero + 0.5)
	}
	lo, hi = (f.bottom-zero)*scale, (f.top-zero)*scale
	inverse := 1 / scale
	shift := lo * inverse
	zeroCode := floor32(float32(-lo*inverse) + 0.5)
	for i := first; i < len(src); i += step {
		v := clampFloat(src[i], lo, hi)
		dst[i] = (floor32(float32(float32(v*inverse)-shift)+0.5) - zeroCode) * scale
	}
}

func floor32(v float32) float32 { return float32(math.Floor(float64(v))) }

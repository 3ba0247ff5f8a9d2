package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// slidingWindow is how a window of a convolution or pooling moves over the rows and columns of NHWC images.
type slidingWindow struct {
	size, stride [2]int
	same         bool // padding SAME: what lies outside counts as nothing
}

// readWindow reads strides and padding; the window's size comes from ksize or from a filter.
func readWindow(n *graphdef.Node) (*slidingWindow, error) {
	r := n.AttrReader()
	strides, padding := r.Ints("strides"), r.Str("padding")
	if err := r.Err(); err != nil {
		return nil, err
	}
	w := &slidingWindow{same: padding == "SAME"}
	if padding != "SAME" && padding != "VALID" {
		return nil, fmt.Errorf("padding is %q, want SAME or VALID", padding)
	}
	var err error
	w.stride, err = planeOf(strides, "strides")
	return w, err
}

// planeOf returns the two middle numbers of four; the others, for batch and depth, must be 1.
func planeOf(v []int64, what string) ([2]int, error) {
	if len(v) != 4 || v[0] != 1 || v[3] != 1 || v[1] < 1 || v[2] < 1 || max(v[1], v[2]) > 1<<31 {
		return [2]int{}, fmt.Errorf("%s is %v, want [1, rows, columns, 1]", what, v)
	}
	return [2]int{int(v[1]), int(v[2])}, nil
}

// over returns the rows and columns of the output, and how far before the image the first window starts.
func (w *slidingWindow) over(s tensor.Shape) (out, before [2]int, err error) {
	for i, n := range s[1:3] {
		if w.same {
			out[i] = (n + w.stride[i] - 1) / w.stride[i]
			before[i] = max(0, (out[i]-1)*w.stride[i]+w.size[i]-n) / 2
			continue
		}
		if n < w.size[i] {
			return out, before, fmt.Errorf("input %v is smaller than the window of %d by %d", s.Clone(), w.size[0], w.size[1])
		}
		out[i] = (n-w.size[i])/w.stride[i] + 1
	}
	return out, before, nil
}

// inside returns which of a window's places along dimension i lie on the image, for output o, and where the first one is.
func (w *slidingWindow) inside(i, o, before, n int) (from, to, at int) {
	start := o*w.stride[i] - before
	return max(0, -start), min(w.size[i], n-start), max(0, start)
}

// quantizedConv2DOp sums the products of quint8 codes, each less the code of 0, in qint32.
func quantizedConv2DOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	w, err := readWindow(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	dilations := r.Ints("dilations")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !slices.Equal(dilations, []int64{1, 1, 1, 1}) {
		return nil, fmt.Errorf("dilations is %v, want [1, 1, 1, 1]", dilations)
	}
	return func(c *call) error {
		loX, hiX, loF, hiF, err := operandRanges(c)
		if err != nil {
			return err
		}
		x, f := c.in(0), c.in(1)
		xs, fs := x.Shape(), f.Shape()
		if len(xs) != 4 || len(fs) != 4 || xs[3] != fs[2] {
			return fmt.Errorf("input and filter have shapes %v and %v, want rank 4 and as many channels", xs.Clone(), fs.Clone())
		}
		zx, err := zeroPoint(loX, hiX)
		if err != nil {
			return err
		}
		zf, err := zeroPoint(loF, hiF)
		if err != nil {
			return err
		}
		win := *w
		win.size = [2]int{fs[0], fs[1]}
		out, before, err := win.over(xs)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Qint32, tensor.Shape{xs[0], out[0], out[1], fs[3]})
		if err != nil {
			return err
		}
		clear(t.Bytes())
		src, filter, dst := tensor.Data[uint8](x), tensor.Data[uint8](f), tensor.Data[int32](t)
		depth, num := fs[2], fs[3]
		for b := range xs[0] {
			for i := range out[0] {
				fromY, toY, atY := win.inside(0, i, before[0], xs[1])
				for j := range out[1] {
					fromX, toX, atX := win.inside(1, j, before[1], xs[2])
					sums := dst[:num]
					dst = dst[num:]
					for dy := range max(0, toY-fromY) {
						for dx := range max(0, toX-fromX) {
							pixel := src[((b*xs[1]+atY+dy)*xs[2]+atX+dx)*depth:][:depth]
							weights := filter[((fromY+dy)*fs[1]+fromX+dx)*depth*num:]
							for d, v := range pixel {
								for k, q := range weights[d*num:][:num] {
									sums[k] += (int32(v) - zx) * (int32(q) - zf)
								}
							}
						}
					}
				}
			}
		}
		lo, hi := productRange((hiX-loX)/255, (hiF-loF)/255)
		return setRange(c, 1, lo, hi)
	}, nil
}

// quantizedPoolOp takes the greatest code of each window (QuantizedMaxPool) or their mean, rounded towards zero
// (QuantizedAvgPool). The range stays.
func quantizedPoolOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	w, err := readWindow(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	ksize := r.Ints("ksize")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if w.size, err = planeOf(ksize, "ksize"); err != nil {
		return nil, err
	}
	mean := n.Op() == "QuantizedAvgPool"
	return func(c *call) error {
		x := c.in(0)
		lo, hi, err := rangeOf(c, 1)
		if err != nil {
			return err
		}
		if x.Rank() != 4 || x.Shape()[3] == 0 {
			return fmt.Errorf("input has shape %v, want rank 4 and channels", x.Shape().Clone())
		}
		switch x.DType() {
		case tensor.Quint8:
			err = poolCodes[uint8](c, x, w, mean)
		case tensor.Qint8:
			err = poolCodes[int8](c, x, w, mean)
		default:
			err = fmt.Errorf("input is %v, want quint8 or qint8", x.DType())
		}
		if err != nil {
			return err
		}
		return setRange(c, 1, lo, hi)
	}, nil
}

func poolCodes[T uint8 | int8](c *call, x *tensor.Tensor, w *slidingWindow, mean bool) error {
	s := x.Shape()
	out, before, err := w.over(s)
	if err != nil {
		return err
	}
	depth := s[3]
	t, err := c.alloc(0, x.DType(), tensor.Shape{s[0], out[0], out[1], depth})
	if err != nil {
		return err
	}
	src, dst := tensor.Data[T](x), tensor.Data[T](t)
	sums := make([]int, depth)
	for b := range s[0] {
		for i := range out[0] {
			fromY, toY, atY := w.inside(0, i, before[0], s[1])
			for j := range out[1] {
				fromX, toX, atX := w.inside(1, j, before[1], s[2])
				best := dst[:depth]
				dst = dst[depth:]
				clear(sums)
				for dy := range toY - fromY {
					for dx := range toX - fromX {
						pixel := src[((b*s[1]+atY+dy)*s[2]+atX+dx)*depth:][:depth]
						for d, v := range pixel {
							sums[d] += int(v)
							if dy == 0 && dx == 0 || v > best[d] {
								best[d] = v
							}
						}
					}
				}
				if mean {
					for d, v := range sums {
						best[d] = T(v / ((toY - fromY) * (toX - fromX)))
					}
				}
			}
		}
	}
	return nil
}

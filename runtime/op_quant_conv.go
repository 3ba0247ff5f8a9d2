package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// quantizedWindow reads how the window of a quantized op moves over the rows and columns of NHWC images.
func quantizedWindow(n *graphdef.Node) (*windowAttrs, error) {
	r := n.AttrReader()
	w := &windowAttrs{format: "NHWC", strides: r.Ints("strides"), padding: r.Str("padding"), dilations: []int64{1, 1, 1, 1}}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if w.padding != "SAME" && w.padding != "VALID" {
		return nil, fmt.Errorf(`attribute "padding" is %q, want SAME or VALID`, w.padding)
	}
	return w, checkPlane(w, "strides", w.strides)
}

// checkPlane checks that v has sizes of rows and columns between two ones, for batch and channels.
func checkPlane(w *windowAttrs, name string, v []int64) error {
	if err := w.checkSizes(name, v, 1); err != nil {
		return err
	}
	if v[0] != 1 || v[3] != 1 {
		return fmt.Errorf("attribute %q is %v, want 1 for batch and channels", name, v)
	}
	return nil
}

// plane returns the windows of the given size along rows and columns of images of shape s.
func (w *windowAttrs) plane(s tensor.Shape, rows, cols int) (y, x axisWindow, err error) {
	if y, err = w.axis(1, s[1], rows); err == nil {
		x, err = w.axis(2, s[2], cols)
	}
	return y, x, err
}

// quantizedConv2DOp sums the products of quint8 codes, each less the code of 0, in qint32.
func quantizedConv2DOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	w, err := quantizedWindow(n)
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
		rows, cols, err := w.plane(xs, fs[0], fs[1])
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Qint32, tensor.Shape{xs[0], rows.out, cols.out, fs[3]})
		if err != nil {
			return err
		}
		clear(t.Bytes())
		src, filter, dst := tensor.Data[uint8](x), tensor.Data[uint8](f), tensor.Data[int32](t)
		depth, num := fs[2], fs[3]
		for b := range xs[0] {
			for i := range rows.out {
				fromY, toY, atY := rows.covers(i)
				for j := range cols.out {
					fromX, toX, atX := cols.covers(j)
					sums := dst[:num]
					dst = dst[num:]
					for fy := fromY; fy < toY; fy++ {
						for fx := fromX; fx < toX; fx++ {
							pixel := src[((b*xs[1]+atY+fy)*xs[2]+atX+fx)*depth:][:depth]
							weights := filter[(fy*fs[1]+fx)*depth*num:]
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
	w, err := quantizedWindow(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	ksize := r.Ints("ksize")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := checkPlane(w, "ksize", ksize); err != nil {
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
			err = poolCodes[uint8](c, x, w, ksize, mean)
		case tensor.Qint8:
			err = poolCodes[int8](c, x, w, ksize, mean)
		default:
			err = fmt.Errorf("input is %v, want quint8 or qint8", x.DType())
		}
		if err != nil {
			return err
		}
		return setRange(c, 1, lo, hi)
	}, nil
}

func poolCodes[T uint8 | int8](c *call, x *tensor.Tensor, w *windowAttrs, ksize []int64, mean bool) error {
	s := x.Shape()
	rows, cols, err := w.plane(s, int(ksize[1]), int(ksize[2]))
	if err != nil {
		return err
	}
	depth := s[3]
	t, err := c.alloc(0, x.DType(), tensor.Shape{s[0], rows.out, cols.out, depth})
	if err != nil {
		return err
	}
	src, dst := tensor.Data[T](x), tensor.Data[T](t)
	sums := make([]int, depth)
	for b := range s[0] {
		for i := range rows.out {
			fromY, toY, atY := rows.covers(i)
			for j := range cols.out {
				fromX, toX, atX := cols.covers(j)
				best := dst[:depth]
				dst = dst[depth:]
				clear(sums)
				for fy := fromY; fy < toY; fy++ {
					for fx := fromX; fx < toX; fx++ {
						pixel := src[((b*s[1]+atY+fy)*s[2]+atX+fx)*depth:][:depth]
						for d, v := range pixel {
							sums[d] += int(v)
							if fy == fromY && fx == fromX || v > best[d] {
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

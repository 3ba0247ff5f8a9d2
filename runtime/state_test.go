package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// listLoop fills a list of n elements [256] in a loop and reads one back; op is the step that stores x.
func listLoop(op string) string {
	return `
		n = Placeholder[dtype=int32, shape=[]]()
		zero = Const[value=int32 0]()
		shape = Const[value=int32 [256]]()
		x = Const[value=float 256 fill 1.5]()
		l = TensorListReserve[element_dtype=float](shape, n)
		loop = While[cond=@c, body=@b, T=[int32, variant, int32, float]](zero, l, n, x)
		y = TensorListGetItem[element_dtype=float](loop:1, zero, shape)

		func c {
			i = _Arg[T=int32, index=0]()
			l = _Arg[T=variant, index=1]()
			n = _Arg[T=int32, index=2]()
			x = _Arg[T=float, index=3]()
			go = Less(i, n)
			r = _Retval[T=bool, index=0](go)
		}
		func b {
			i = _Arg[T=int32, index=0]()
			l = _Arg[T=variant, index=1]()
			n = _Arg[T=int32, index=2]()
			x = _Arg[T=float, index=3]()
			one = Const[value=int32 1]()
			zero = Const[value=int32 0]()
			next = Add(i, one)
			y = Exp(x)
			` + op + `
			r0 = _Retval[T=int32, index=0](next)
			r1 = _Retval[T=variant, index=1](set)
			r2 = _Retval[T=int32, index=2](n)
			r3 = _Retval[T=float, index=3](y)
		}`
}

func runFor(t *testing.T, s *runtime.Session, n int32) error {
	t.Helper()
	_, err := s.Run(context.Background(), map[string]*tensor.Tensor{"n": tensor.Scalar(n)})
	return err
}

// TestListsChangeInPlace: writing an element costs the same whatever the length of the list.
func TestListsChangeInPlace(t *testing.T) {
	const set = "set = TensorListSetItem(l, i, y)"
	s := compileText(t, listLoop(set), runtime.CompileOptions{Fetches: []string{"y"}}).NewSession()
	allocs := func(n int32) float64 {
		return testing.AllocsPerRun(5, func() {
			if err := runFor(t, s, n); err != nil {
				t.Fatal(err)
			}
		})
	}
	short, long := allocs(100), allocs(1100)
	// Growing the list takes a few more; a copy of it in each iteration would take a thousand.
	if long-short > 50 {
		t.Errorf("1000 more iterations allocate %v times more", long-short)
	}
}

// TestListsCountAsMemory: elements count while the list lives, and no longer.
func TestListsCountAsMemory(t *testing.T) {
	opts := runtime.CompileOptions{Fetches: []string{"y"}, MaxBytes: 200 << 10}
	keep := compileText(t, listLoop("set = TensorListSetItem(l, i, y)"), opts).NewSession()
	var limit *runtime.LimitError
	if err := runFor(t, keep, 500); !errors.As(err, &limit) {
		t.Errorf("500 elements of 1 KiB under a limit of 200 KiB: %v, want a LimitError", err)
	}
	for range 3 {
		if err := runFor(t, keep, 100); err != nil {
			t.Errorf("100 elements after a run that failed: %v", err)
		}
	}
	replace := compileText(t, listLoop("set = TensorListSetItem(l, zero, y)"), opts).NewSession()
	if err := runFor(t, replace, 500); err != nil {
		t.Errorf("500 times the same element: %v", err)
	}
}

// TestHostileSizes: numbers out of a broken graph are errors and take no memory.
func TestHostileSizes(t *testing.T) {
	for op, want := range map[string]string{
		"y = TensorListReserve[element_dtype=float](shape, n)": "num_elements is 2147483647",
		`l = EmptyTensorList[element_dtype=float](shape, minus)
		y = TensorListResize(l, n)`: "size is 2147483647",
		`l = EmptyTensorList[element_dtype=float](shape, minus)
		y = TensorListSetItem[resize_if_index_out_of_bounds=true](l, n, x)`: "above the limit",
		`y = TensorArrayV3[dtype=float](n)`: "size is 2147483647",
		`a = TensorArrayV3[dtype=float, dynamic_size=true](two)
		y = TensorArrayWriteV3(a, n, x, a:1)`: "out of range",
		`y = VarHandleOp[dtype=float, shape=[]]()`: "means nothing outside of the run",
		`h = VarHandleOp[dtype=float, shape=[]]()
		y = ReadVariableOp[dtype=float](h)`: "not initialised",
		`y = TensorListLength(x)`: "variant",
	} {
		g, err := graphdef.Parse(`
			n = Const[value=int32 2147483647]()
			two = Const[value=int32 2]()
			minus = Const[value=int32 -1]()
			shape = Const[value=int32 [1]]()
			x = Const[value=float [1]]()
			` + op)
		if err != nil {
			t.Fatal(err)
		}
		p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y"}})
		if err == nil {
			_, err = p.NewSession().Run(context.Background(), nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", op, err, want)
		}
	}
}

// TestVariablesLiveForOneRun: the second run of a session finds nothing that the first assigned.
func TestVariablesLiveForOneRun(t *testing.T) {
	s := compileText(t, `
		h = VarHandleOp[dtype=float, shape=[2]]()
		before = VarIsInitializedOp(h)
		x = Placeholder[dtype=float, shape=[2]]()
		set = AssignVariableOp(h, x, ^before)
		add = AssignAddVariableOp(h, x, ^set)
		y = ReadVariableOp[dtype=float](h, ^add)
	`, runtime.CompileOptions{Fetches: []string{"y", "before"}}).NewSession()
	for range 2 {
		x := tensor.FromSlice(tensor.Shape{2}, []float32{1, 2})
		got, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		if y := tensor.Data[float32](got["y"]); y[0] != 2 || y[1] != 4 || tensor.Data[bool](got["before"])[0] {
			t.Errorf("y is %v, initialised before: %v", got["y"], got["before"])
		}
		if v := tensor.Data[float32](x); v[0] != 1 || v[1] != 2 {
			t.Errorf("the feed was changed to %v", x)
		}
	}
}

// TestRecursion is refused, also where functions call each other.
func TestRecursion(t *testing.T) {
	g, err := graphdef.Parse(`
		x = Placeholder[dtype=float]()
		y = PartitionedCall[f=@f, Tin=[float], Tout=[float]](x)
		func f {
			a = _Arg[T=float, index=0]()
			c = PartitionedCall[f=@g, Tin=[float], Tout=[float]](a)
			r = _Retval[T=float, index=0](c)
		}
		func g {
			a = _Arg[T=float, index=0]()
			c = StatelessIf[then_branch=@f, else_branch=@g, Tin=[float], Tout=[float]](a, a)
			r = _Retval[T=float, index=0](c)
		}`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y"}})
	if err == nil || !strings.Contains(err.Error(), "recursion is not supported") {
		t.Errorf("error is %v", err)
	}
}

// TestEndlessLoopsStop: a loop that never ends stops when the context is done, whatever its body does.
func TestEndlessLoopsStop(t *testing.T) {
	const args = `
			a = _Arg[T=float, index=0]()
	`
	for name, text := range map[string]string{
		"without steps": `y = While[cond=@always, body=@same, T=[float]](x)`,
		"with steps":    `y = While[cond=@always, body=@step, T=[float]](x)`,
		"inside": `y = While[cond=@always, body=@outer, T=[float]](x)
		func outer {` + args + `
			c = While[cond=@always, body=@step, T=[float]](a)
			r = _Retval[T=float, index=0](c)
		}`,
	} {
		p := compileText(t, `
		x = Placeholder[dtype=float, shape=[]]()
		`+text+`
		func always {`+args+`
			c = Const[value=bool true]()
			r = _Retval[T=bool, index=0](c)
		}
		func same {`+args+`
			r = _Retval[T=float, index=0](a)
		}
		func step {`+args+`
			c = Add(a, a)
			r = _Retval[T=float, index=0](c)
		}`, runtime.CompileOptions{Fetches: []string{"y"}})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err := p.NewSession().Run(ctx, map[string]*tensor.Tensor{"x": tensor.Scalar[float32](1)})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: error is %v, want the context's", name, err)
		}
	}
}

// TestDeadCalls: a call whose inputs, or what it waits for, do not run does not run either, though its body could.
func TestDeadCalls(t *testing.T) {
	for name, text := range map[string]string{
		"input": `
		never = StatefulPartitionedCall[f=@fails, Tin=[float], Tout=[float]](s)
		runs = StatefulPartitionedCall[f=@two, Tin=[float], Tout=[float]](s:1)`,
		"control": `
		off = Identity(s)
		on = Identity(s:1)
		never = StatefulPartitionedCall[f=@fails, Tin=[float], Tout=[float]](x, ^off)
		runs = StatefulPartitionedCall[f=@two, Tin=[float], Tout=[float]](x, ^on)`,
		"loop": `
		loop = While[cond=@no, body=@same, T=[float, float]](x, s)
		never = Identity(loop)
		runs = StatefulPartitionedCall[f=@two, Tin=[float], Tout=[float]](s:1)`,
	} {
		p := compileText(t, `
		x = Placeholder[dtype=float, shape=[]]()
		p = Placeholder[dtype=bool, shape=[]]()
		s = Switch(x, p)
		`+text+`
		y = Merge(never, runs)
		func fails {
			a = _Arg[T=float, index=0]()
			no = Const[value=bool false]()
			stop = Assert[T=[float]](no, a)
			c = Const[value=float 1](^stop)
			r = _Retval[T=float, index=0](c)
		}
		func no {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			c = Const[value=bool false]()
			r = _Retval[T=bool, index=0](c)
		}
		func same {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			r0 = _Retval[T=float, index=0](a)
			r1 = _Retval[T=float, index=1](b)
		}
		func two {
			a = _Arg[T=float, index=0]()
			c = Const[value=float 2]()
			r = _Retval[T=float, index=0](c)
		}`, runtime.CompileOptions{Fetches: []string{"y", "y:1"}})
		got, err := p.NewSession().Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.Scalar[float32](7), "p": tensor.Scalar(true)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tensor.Data[float32](got["y"])[0] != 2 || tensor.Data[int32](got["y:1"])[0] != 1 {
			t.Errorf("%s: y is %v, of input %v", name, got["y"], got["y:1"])
		}
	}
}

// TestLoopsDropWhatOnceLeft: of what a loop computes alike in every iteration, only what iterations read stays in memory.
func TestLoopsDropWhatOnceLeft(t *testing.T) {
	const bytes = 256 << 10
	s := compileText(t, `
		n = Placeholder[dtype=int32, shape=[]]()
		x = Placeholder[dtype=float, shape=[65536]]()
		zero = Const[value=int32 0]()
		start = Const[value=float 0]()
		loop = While[cond=@c, body=@b, T=[int32, int32, float, float]](zero, n, x, start)
		y = Identity(loop:3)

		func c {
			i = _Arg[T=int32, index=0]()
			n = _Arg[T=int32, index=1]()
			x = _Arg[T=float, index=2]()
			sum = _Arg[T=float, index=3]()
			go = Less(i, n)
			r = _Retval[T=bool, index=0](go)
		}
		func b {
			i = _Arg[T=int32, index=0]()
			n = _Arg[T=int32, index=1]()
			x = _Arg[T=float, index=2]()
			sum = _Arg[T=float, index=3]()
			one = Const[value=int32 1]()
			next = Add(i, one)
			a0 = Exp(x)
			a1 = Cumsum(a0, zero)
			a2 = Cumsum(a1, zero)
			a3 = Cumsum(a2, zero)
			a4 = Cumsum(a3, zero)
			at = GatherV2(a4, i, zero)
			more = Add(sum, at)
			zero = Const[value=int32 0]()
			r0 = _Retval[T=int32, index=0](next)
			r1 = _Retval[T=int32, index=1](n)
			r2 = _Retval[T=float, index=2](x)
			r3 = _Retval[T=float, index=3](more)
		}`, runtime.CompileOptions{Fetches: []string{"y"}, MaxBytes: 3 * bytes}).NewSession()
	out, err := s.Run(context.Background(), map[string]*tensor.Tensor{
		"n": tensor.Scalar[int32](3), "x": tensor.New(tensor.Float32, tensor.Shape{bytes / 4}),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Sums of sums of ones: 1, 5 and 15 stand first in the fourth.
	if got := tensor.Data[float32](out["y"])[0]; got != 21 {
		t.Errorf("the sum is %v, want 21", got)
	}
}

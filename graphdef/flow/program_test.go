package flow_test

import (
	"fmt"
	"log"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
)

// A weight reaches its product through the arguments of a While's body and of a function that the body calls.
func ExampleAnalyzeProgram() {
	g, err := graphdef.Parse(`
		n = Const[value=int32 3]()
		x = Placeholder[dtype=float, shape=[?, 2]]()
		w = Const[value=float 2x2 fill 0.5]()
		loop = StatelessWhile[cond=@c, body=@b, T=[int32, float, float]](n, x, w)

		func c {
			n = _Arg[T=int32, index=0]()
			x = _Arg[T=float, index=1]()
			w = _Arg[T=float, index=2]()
			zero = Const[value=int32 0]()
			go = Greater(n, zero)
			ret = _Retval[T=bool, index=0](go)
		}
		func b {
			n = _Arg[T=int32, index=0]()
			x = _Arg[T=float, index=1]()
			w = _Arg[T=float, index=2]()
			one = Const[value=int32 1]()
			less = Sub(n, one)
			y = PartitionedCall[f=@dense, Tin=[float, float], Tout=[float]](x, w)
			ret0 = _Retval[T=int32, index=0](less)
			ret1 = _Retval[T=float, index=1](y)
			ret2 = _Retval[T=float, index=2](w)
		}
		func dense {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			product = MatMul(a, b)
			ret = _Retval[T=float, index=0](product)
		}
	`)
	if err != nil {
		log.Fatal(err)
	}
	p, err := flow.AnalyzeProgram(g)
	if err != nil {
		log.Fatal(err)
	}
	product := g.Function("dense").Body.Node("product")
	fmt.Println(p.Name(product.Out(0)), "in a loop:", p.InLoop(product))
	for _, in := range product.Inputs() {
		c, ok := p.ConstOf(in)
		fmt.Println(p.Name(in), "is constant:", ok, c.Name())
	}
	for _, v := range p.Loops[0].Vars {
		fmt.Println(v.BodyArg.Name(), "is the same in every iteration:", v.Carried())
	}
	// Output:
	// dense@product:0 in a loop: true
	// dense@a:0 is constant: false x
	// dense@b:0 is constant: true w
	// n is the same in every iteration: false
	// x is the same in every iteration: false
	// w is the same in every iteration: true
}

// TestProgramSource follows values across calls, where they can be followed and where they must not.
func TestProgramSource(t *testing.T) {
	g, err := graphdef.Parse(`
		p = Placeholder[dtype=bool, shape=[]]()
		i = Placeholder[dtype=int32, shape=[]]()
		x = Placeholder[dtype=float, shape=[2]]()
		k = Const[value=float [1, 2]]()
		m = Const[value=float [3, 4]]()
		once = PartitionedCall[f=@two, Tin=[float, float], Tout=[float, float, float]](x, k)
		again = PartitionedCall[f=@two, Tin=[float, float], Tout=[float, float, float]](m, k)
		if = StatelessIf[then_branch=@left, else_branch=@right, Tin=[float, float], Tout=[float, float]](p, x, k)
		rows = MapDefun[f=@row, Targuments=[float], Tcaptured=[float], output_types=[float], output_shapes=[[]]](x, k)
		self = PartitionedCall[f=@rec, Tin=[float], Tout=[float]](k)
		for = For[body=@count, T=[float, float]](i, i, i, x, k)
		lost = PartitionedCall[f=@nowhere, Tin=[float], Tout=[float]](k)
		legacy = left(x, k)

		func two {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			own = Const[value=float [5, 6]]()
			same = Identity(b)
			sum = Add(a, b)
			r0 = _Retval[T=float, index=0](same)
			r1 = _Retval[T=float, index=1](own)
			r2 = _Retval[T=float, index=2](sum)
		}
		func left {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			r0 = _Retval[T=float, index=0](b)
			r1 = _Retval[T=float, index=1](a)
		}
		func right {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			r0 = _Retval[T=float, index=0](b)
			r1 = _Retval[T=float, index=1](b)
		}
		func row {
			a = _Arg[T=float, index=0]()
			b = _Arg[T=float, index=1]()
			r0 = _Retval[T=float, index=0](a)
		}
		func rec {
			a = _Arg[T=float, index=0]()
			call = PartitionedCall[f=@rec, Tin=[float], Tout=[float]](a)
			r0 = _Retval[T=float, index=0](call)
		}
		func count {
			i = _Arg[T=int32, index=0]()
			a = _Arg[T=float, index=1]()
			b = _Arg[T=float, index=2]()
			s = Add(a, b)
			d = Mul(b, b)
			r0 = _Retval[T=float, index=0](s)
			r1 = _Retval[T=float, index=1](b)
		}
		func unused {
			a = _Arg[T=float, index=0]()
			r0 = _Retval[T=float, index=0](a)
		}
	`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := flow.AnalyzeProgram(g)
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string) graphdef.Output {
		in := g
		if f, rest, ok := strings.Cut(name, "@"); ok {
			in, name = g.Function(f).Body, rest
		}
		node, index, _ := strings.Cut(name, ":")
		return in.Node(node).Out(int(index[0] - '0'))
	}
	for _, c := range []struct{ value, source string }{
		{"two@a:0", "two@a:0"}, // callers differ
		{"two@b:0", "k:0"},
		{"once:0", "k:0"},
		{"once:1", "two@own:0"},
		{"once:2", "once:2"},
		{"if:0", "k:0"},
		{"if:1", "if:1"},
		{"left@a:0", "x:0"}, // by the If and by the call in old style
		{"legacy:0", "k:0"},
		{"row@a:0", "row@a:0"}, // a row of x
		{"row@b:0", "k:0"},
		{"rows:0", "rows:0"},
		{"self:0", "self:0"},
		{"rec@a:0", "rec@a:0"}, // recursion is given up
		{"count@i:0", "count@i:0"},
		{"count@a:0", "count@a:0"},
		{"count@b:0", "k:0"},
		{"for:0", "for:0"},
		{"for:1", "k:0"},
		{"lost:0", "lost:0"},
		{"k:0", "k:0"},
	} {
		if got := p.Name(p.Source(find(c.value))); got != c.source {
			t.Errorf("source of %s is %s, want %s", c.value, got, c.source)
		}
	}
	loop := p.Loop(g.Node("for"))
	for name, want := range map[string]bool{"count@s:0": false, "count@d:0": true, "count@i:0": false, "count@b:0": true, "two@a:0": false} {
		if got := p.Invariant(find(name), loop); got != want {
			t.Errorf("%s invariant: %v, want %v", name, got, want)
		}
	}
	var names []string
	for _, n := range p.Placeholders(find("count@s:0").Node) {
		names = append(names, n.Name())
	}
	if got := strings.Join(names, " "); got != "x" {
		t.Errorf("placeholders of count@s are %s, want x", got)
	}
	if p.Tree(g.Function("unused").Body.Nodes()[0]) != nil {
		t.Error("a function that nothing calls has a tree")
	}
	if n := len(p.Sites(g.Function("left"))); n != 2 {
		t.Errorf("left has %d call sites, want 2", n)
	}
}

// TestProgramErrors names the function that is wrong.
func TestProgramErrors(t *testing.T) {
	for text, want := range map[string]string{
		`x = Placeholder[dtype=float]()
		c = PartitionedCall[f=@f, Tin=[float], Tout=[float]](x)
		func f {
			a = _Arg[T=float, index=0]()
			e = Exit(a)
			r = _Retval[T=float, index=0](e)
		}`: `in function "f"`,
		`x = Placeholder[dtype=float]()
		c = While[cond=@f, body=@f, T=[float, float]](x, x)
		func f {
			a = _Arg[T=float, index=0]()
			r = _Retval[T=float, index=0](a)
		}`: `node "c" (While): has 2 loop variables, but body "f" takes 1`,
	} {
		g, err := graphdef.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flow.AnalyzeProgram(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

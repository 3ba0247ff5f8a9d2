package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// controlOps are the nodes that decide which others run. Frames (Enter, Exit, NextIteration, LoopCond) are no ops here: Compile
// turns them into loops.
var controlOps = map[string]evaluator{
	"Const":                  constOp,
	"Identity":               forwardOp,
	"StopGradient":           forwardOp,
	"PreventGradient":        forwardOp,
	"Snapshot":               forwardOp,
	"DebugGradientIdentity":  forwardOp,
	"GuaranteeConst":         forwardOp,
	"Copy":                   forwardOp,
	"CopyHost":               forwardOp,
	"Print":                  forwardOp, // prints nothing
	"PlaceholderWithDefault": forwardOp,
	"IdentityN":              identityN,
	"Switch":                 switchOp,
	"RefSwitch":              switchOp,
	"Merge":                  mergeOp,
	"RefMerge":               mergeOp,
	"Assert":                 assertOp,
}

// constOp is for a Const that can be dead through its control inputs; others are no steps.
func constOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	t, err := n.Tensor("value")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		c.set(0, t)
		return nil
	}, nil
}

func forwardOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		c.forward(0, 0)
		return nil
	}, nil
}

func identityN(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		for i := range c.numOut() {
			c.forward(i, i)
		}
		return nil
	}, nil
}

// switchOp sends its input to output 1 where the predicate is true, to output 0 where it is false; the other is dead.
func switchOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		p := c.in(1)
		if p.DType() != tensor.Bool || p.Rank() != 0 {
			return fmt.Errorf("predicate is %v %v, want a bool scalar", p.DType(), p.Shape())
		}
		live := 0
		if tensor.Data[bool](p)[0] {
			live = 1
		}
		c.kill(1 - live)
		c.s.values[c.st.out[live]].dead = false
		c.forward(live, 0)
		return nil
	}, nil
}

// mergeOp forwards its first input that is alive, and its index.
func mergeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		for i, slot := range c.st.in {
			if c.s.values[slot].dead {
				continue
			}
			c.forward(0, i)
			if c.numOut() < 2 {
				return nil
			}
			t, err := c.alloc(1, tensor.Int32, nil)
			if err != nil {
				return err
			}
			tensor.Data[int32](t)[0] = int32(i)
			return nil
		}
		return fmt.Errorf("all inputs are dead")
	}, nil
}

// assertOp fails where its condition is false, with the data that the graph gives for the message.
func assertOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		cond := c.in(0)
		if cond.DType() != tensor.Bool || cond.Rank() != 0 {
			return fmt.Errorf("condition is %v %v, want a bool scalar", cond.DType(), cond.Shape())
		}
		if tensor.Data[bool](cond)[0] {
			return nil
		}
		var data []any
		for i := 1; i < c.numIn(); i++ {
			data = append(data, c.in(i))
		}
		return fmt.Errorf("assertion failed: %v", data)
	}, nil
}

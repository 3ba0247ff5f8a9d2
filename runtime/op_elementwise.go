package runtime

import "github.com/tfq8/tfq8/tensor"

var elementwiseOps = map[string]evaluator{}

// broadcastAdd sets output 0 to a + b with broadcasting.
func broadcastAdd(c *call, a, b *tensor.Tensor) error { return nil }

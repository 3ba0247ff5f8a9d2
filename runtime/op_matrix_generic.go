package runtime

import "github.com/tfq8/tfq8/tensor"

func (p *product) generic(t, a, b *tensor.Tensor, batch tensor.Shape) error { return nil }

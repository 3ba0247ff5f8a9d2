//go:build amd64 && !noasm

package kernels

// Each of these runs the assembly of a tier and reports whether there is one. Operands are not empty, and
// their lengths have been checked. Where a routine has no 512-bit form, both tiers use the 256-bit one.

type unaryRoutine = func(dst, x *float32, n int)

var unaryAVX2 = [unaryCount]unaryRoutine{
	opExp: expAVX2, opTanh: tanhAVX2, opSigmoid: sigmoidAVX2, opErf: erfAVX2, opErfc: erfcAVX2, opLog: logAVX2,
	opGeluTanh: geluTanhAVX2, opGeluErf: geluErfAVX2, opRelu: reluAVX2, opSqrt: sqrtAVX2, opRsqrt: rsqrtAVX2,
	opSquare: squareAVX2, opNeg: negAVX2, opAbs: absAVX2,
}

var unaryAVX512 = [unaryCount]unaryRoutine{
	opExp: expAVX512, opTanh: tanhAVX512, opSigmoid: sigmoidAVX512, opErf: erfAVX512, opErfc: erfcAVX512,
	opLog: logAVX512, opGeluTanh: geluTanhAVX512, opGeluErf: geluErfAVX512, opRelu: reluAVX2, opSqrt: sqrtAVX2,
	opRsqrt: rsqrtAVX2, opSquare: squareAVX2, opNeg: negAVX2, opAbs: absAVX2,
}

func unaryAsm(t Tier, op unaryOp, dst, x []float32) bool {
	var f unaryRoutine
	switch t {
	case AVX2, AVXVNNI:
		f = unaryAVX2[op]
	case AVX512VNNI:
		f = unaryAVX512[op]
	default:
		return false
	}
	for i := 0; i < len(x); i += piece {
		f(&dst[i], &x[i], min(piece, len(x)-i))
	}
	return true
}

var binaryAVX2 = [binaryCount]func(dst, a, b *float32, n int){
	opAdd: addAVX2, opSub: subAVX2, opMul: mulAVX2, opDiv: divAVX2, opMax: maxAVX2, opMin: minAVX2,
}

func binaryAsm(t Tier, op binaryOp, dst, a, b []float32) bool {
	if t == Portable {
		return false
	}
	f := binaryAVX2[op]
	for i := 0; i < len(a); i += piece {
		f(&dst[i], &a[i], &b[i], min(piece, len(a)-i))
	}
	return true
}

var scalarAVX2 = [binaryCount]func(dst, a *float32, w float32, n int){
	opAddScalar: addScalarAVX2, opMulScalar: mulScalarAVX2, opDivScalar: divScalarAVX2,
	opScalarSub: scalarSubAVX2, opScalarDiv: scalarDivAVX2, opMaxScalar: maxScalarAVX2, opMinScalar: minScalarAVX2,
}

func scalarAsm(t Tier, op binaryOp, dst, a []float32, w float32) bool {
	if t == Portable {
		return false
	}
	f := scalarAVX2[op]
	for i := 0; i < len(a); i += piece {
		f(&dst[i], &a[i], w, min(piece, len(a)-i))
	}
	return true
}

func sumAsm(t Tier, x []float32) (float32, bool) {
	if t == Portable {
		return 0, false
	}
	return sumAVX2(&x[0], len(x)), true
}

func sumSquaresAsm(t Tier, x []float32, mean float32) (float32, bool) {
	if t == Portable {
		return 0, false
	}
	return sumSquaresAVX2(&x[0], len(x), mean), true
}

func sumExpAsm(t Tier, x []float32, top float32) (float32, bool) {
	switch t {
	case AVX2, AVXVNNI:
		return sumExpAVX2(&x[0], len(x), top), true
	case AVX512VNNI:
		return sumExpAVX512(&x[0], len(x), top), true
	}
	return 0, false
}

func extremesAsm(t Tier, x []float32) (extremes, bool) {
	if t == Portable {
		return extremes{}, false
	}
	e := extremesPortable(nil)
	for i := 0; i < len(x); i += piece {
		low, high, nans := extremesAVX2(&x[i], min(piece, len(x)-i))
		e.min, e.max, e.nans = min(e.min, low), max(e.max, high), e.nans+int64(nans)
	}
	return e, true
}

func blockAtLeastAsm(t Tier, x []float32, least float32) (found uint64, ok bool) {
	if t == Portable {
		return 0, false
	}
	return blockAtLeastAVX2(&x[0], least), true
}

func blockMaximaAsm(t Tier, dst, x []float32) bool {
	if t == Portable {
		return false
	}
	const blocks = piece / topKBlock
	for i := 0; i < len(x)/topKBlock; i += blocks {
		blockMaximaAVX2(&dst[i], &x[i*topKBlock], min(blocks, len(x)/topKBlock-i))
	}
	return true
}

func softmaxAsm(t Tier, dst, x []float32, rows, cols int, scale float32, mask []float32, ldmask int) bool {
	if t == Portable {
		return false
	}
	plain, scaled, masked := softmaxAVX2, softmaxScaledAVX2, softmaxMaskedAVX2
	if t == AVX512VNNI {
		plain, scaled, masked = softmaxAVX512, softmaxScaledAVX512, softmaxMaskedAVX512
	}
	switch {
	case mask != nil:
		masked(&dst[0], &x[0], &mask[0], rows, cols, ldmask, scale)
	case scale != 1:
		scaled(&dst[0], &x[0], nil, rows, cols, 0, scale)
	default:
		plain(&dst[0], &x[0], nil, rows, cols, 0, 1)
	}
	return true
}

func normAsm(t Tier, n *norm) bool {
	if t == Portable {
		return false
	}
	plain, added, rms := layerNormAVX2, layerNormAddAVX2, rmsNormAVX2
	if t == AVX512VNNI {
		plain, added, rms = layerNormAVX512, layerNormAddAVX512, rmsNormAVX512
	}
	dst, sum, gamma := &n.dst[0], &n.sum[0], &n.gamma[0]
	switch {
	case n.beta == nil:
		rms(dst, sum, nil, nil, gamma, nil, n.rows, n.cols, n.eps)
	case n.add != nil:
		added(dst, sum, &n.x[0], &n.add[0], gamma, &n.beta[0], n.rows, n.cols, n.eps)
	default:
		plain(dst, sum, nil, nil, gamma, &n.beta[0], n.rows, n.cols, n.eps)
	}
	return true
}

func quantizeS8Asm(t Tier, dst []int8, x []float32, q *quantizer) bool {
	if t == Portable {
		return false
	}
	f := quantizeS8AVX2
	if q.round == HalfAwayFromZero {
		f = quantizeAwayS8AVX2
	}
	for i := 0; i < len(x); i += piece {
		f(&dst[i], &x[i], min(piece, len(x)-i), q.scale, q.lo, q.hi)
	}
	return true
}

func quantizeU8Asm(t Tier, dst []uint8, x []float32, q *quantizer) bool {
	if t == Portable {
		return false
	}
	f := quantizeU8AVX2
	if q.round == HalfAwayFromZero {
		f = quantizeAwayU8AVX2
	}
	for i := 0; i < len(x); i += piece {
		f(&dst[i], &x[i], min(piece, len(x)-i), q.scale, q.lo, q.hi)
	}
	return true
}

func dequantizeS8Asm(t Tier, dst []float32, q []int8, scale float32) bool {
	if t == Portable {
		return false
	}
	for i := 0; i < len(q); i += piece {
		dequantizeS8AVX2(&dst[i], &q[i], min(piece, len(q)-i), scale)
	}
	return true
}

func dequantizeU8Asm(t Tier, dst []float32, q []uint8, scale, low float32) bool {
	if t == Portable {
		return false
	}
	for i := 0; i < len(q); i += piece {
		dequantizeU8AVX2(&dst[i], &q[i], min(piece, len(q)-i), scale, low)
	}
	return true
}

func dequantizeS32Asm(t Tier, dst []float32, q []int32, scale float32) bool {
	if t == Portable {
		return false
	}
	for i := 0; i < len(q); i += piece {
		dequantizeS32AVX2(&dst[i], &q[i], min(piece, len(q)-i), scale)
	}
	return true
}

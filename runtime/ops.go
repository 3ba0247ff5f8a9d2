package runtime

import "maps"

// families are the tables of evaluators, one file each: op_<family>.go. An op is one entry of one of them.
func families() []map[string]evaluator {
	return []map[string]evaluator{
		elementwiseOps, castOps, reduceOps, argOps, cumulativeOps, segmentOps, countOps,
		matrixOps, softmaxOps, normOps, lossOps, convOps, poolOps, fusedOps, randomOps, shapeOps, indexOps, controlOps, quantOps,
		variableOps, variableScatterOps, arrayOps, listOps, xlaOps, stringOps, raggedOps, tableOps,
	}
}

func lookupEvaluator(op string) (evaluator, bool) {
	for _, f := range families() {
		if e, ok := f[op]; ok {
			return e, true
		}
	}
	return nil, false
}

// Ops returns the ops that the interpreter runs beside those that Compile itself takes apart (constants, function calls,
// loops, branches), in no order.
func Ops() []string {
	var names []string
	for _, f := range families() {
		for name := range maps.Keys(f) {
			names = append(names, name)
		}
	}
	return names
}

package runtime

var reduceOps = map[string]evaluator{}

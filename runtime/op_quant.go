package runtime

var quantOps = map[string]evaluator{}

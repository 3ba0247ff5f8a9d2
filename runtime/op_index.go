package runtime

var indexOps = map[string]evaluator{}

package runtime

var castOps = map[string]evaluator{}

package graphdef

// controlOps is the signatures of the control flow of TF1: frames, switches and merges. Type op in signature.go says
// how to read an entry.
var controlOps = map[string]op{
	"Switch":        def(`data T, pred bool -> output_false T, output_true T`, switchShape, ControlFlow),
	"Merge":         def(`inputs N*T -> output T, value_index int32`, merge, ControlFlow),
	"Enter":         def(`data T -> output T; frame_name:string, is_constant=false, parallel_iterations=10`, pass, ControlFlow),
	"Exit":          def(`data T -> output T`, pass, ControlFlow),
	"NextIteration": def(`data T -> output T`, pass, ControlFlow),
	"LoopCond":      def(`input bool -> output bool`, pass, ControlFlow),
	"RefSwitch":     def(`data &T, pred bool -> output_false &T, output_true &T`, switchShape, ControlFlow),
	"RefMerge":      def(`inputs N*&T -> output &T, value_index int32`, merge, ControlFlow),
	"RefEnter": def(`data &T -> output &T; frame_name:string, is_constant=false, parallel_iterations=10`, pass,
		ControlFlow),
	"RefExit":          def(`data &T -> output &T`, pass, ControlFlow),
	"RefNextIteration": def(`data &T -> output &T`, pass, ControlFlow),
	"RefIdentity":      def(`input &T -> output &T`, pass, PassesThrough),
	"RefSelect":        def(`index int32, inputs N*&T -> output &T`, nil),
	"ControlTrigger":   def(`->`, none),
	"Abort":            def(`->; error_msg="", exit_without_error=false`, none),
	"_SwitchN":         def(`data T, output_index int32 -> outputs num_outs*T`, nil, ControlFlow),
}

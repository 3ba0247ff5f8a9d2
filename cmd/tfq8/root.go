package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// newRootCmd returns the command with all its verbs.
func newRootCmd(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "tfq8",
		Short: "Convert frozen FP32 TensorFlow Transformers to INT8 and run them",
		Long: `tfq8 turns a frozen FP32 TensorFlow graph into one with calibrated INT8 matrix
products, and runs, checks, compares and shows such graphs. It needs no TensorFlow.

A MODEL is a SavedModel (its directory; --signature and --tags choose a part), a
checkpoint with its .meta (the prefix), or a GraphDef: binary (.pb), protobuf text
(.pbtxt) or one node a line (.txt); told apart by content; - is standard input.

Exit codes: 0 done, 1 the answer is no (differs, misses), 2 error, 130 interrupted.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return cmd.Help()
		},
	}
	root.PersistentFlags().BoolVarP(&s.quiet, "quiet", "q", false, "print results and errors only")
	root.PersistentFlags().BoolVarP(&s.verbose, "verbose", "v", false, "say more on standard error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")
	})
	for _, newCmd := range verbs() {
		root.AddCommand(newCmd(s))
	}
	return root
}

// verbs lists what makes each verb, in no order: the help sorts them.
func verbs() []func(*streams) *cobra.Command {
	return []func(*streams) *cobra.Command{
		newCheckCmd,
		newConvertCmd,
		newDiffCmd,
		newBenchCmd,
		newEvalCmd,
		newFreezeCmd,
		newRunCmd,
		newShowCmd,
		newTranslateCmd,
		newVersionCmd,
	}
}

// positional checks the number of positional arguments and names them in the error: positional(1, 2, "MODEL", "CASE").
func positional(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, have []string) error {
		if len(have) < least || most >= 0 && len(have) > most {
			return fmt.Errorf("%s: have %d arguments, want %s; see %q", cmd.Name(), len(have), names, cmd.CommandPath()+" --help")
		}
		return nil
	}
}

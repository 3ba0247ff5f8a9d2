// Package savedmodel opens models in every form that TensorFlow gives them and freezes them: a SavedModel of TensorFlow 1 or 2,
// a MetaGraphDef (.meta) with its checkpoint, and the graph files of package graphdef.
//
//	m, err := savedmodel.Open("export/1", savedmodel.Options{})
//	fmt.Println(m.Signature.Inputs, m.Signature.Outputs)
//	plan, err := runtime.Compile(m.Graph, …)
//
// The Graph of an opened Model is self-contained: variables are constants, whose elements stay in the mapped checkpoint until
// they are asked for; called functions are inlined, loops and conditionals keep their form; tables are filled by nodes of the
// graph itself. Write makes a SavedModel of such a graph.
//
// Variables get their values by what restoring would do, or by the object graph, and not by their names, which several may
// share. A variable that the graph itself writes cannot be frozen: the error names it.
package savedmodel

package graphdef

// ShapeFunc tells what is known of the shapes of a node's outputs from what is known of its inputs.
type ShapeFunc func(*ShapeContext) error

// ShapeContext is one node, as shape functions see it.
type ShapeContext struct{}

package graphdef

import (
	"bytes"
	"fmt"
	"io"

	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tfq8/tfq8/graphdef/internal/pbtext"
)

func graphDescriptor() protoreflect.MessageDescriptor {
	return (*graph_go_proto.GraphDef)(nil).ProtoReflect().Descriptor()
}

// ReadPbtxt returns the graph of a GraphDef in protobuf's text format (.pbtxt), with all the liberties of TensorFlow's
// own parsers.
func ReadPbtxt(text []byte) (*Graph, error) {
	wire, err := pbtext.Unmarshal(text, graphDescriptor())
	if err != nil {
		return nil, fmt.Errorf("graphdef: pbtxt: %w", err)
	}
	return Read(wire)
}

// WritePbtxt writes g in protobuf's text format, the same text for the same graph. Text takes about three times the
// space of a binary file; payloads of NaNs in attributes are lost, and so are fields that TensorFlow does not define.
func WritePbtxt(w io.Writer, g *Graph) error {
	var wire bytes.Buffer
	if _, err := g.WriteTo(&wire); err != nil {
		return err
	}
	if err := pbtext.Marshal(w, wire.Bytes(), graphDescriptor()); err != nil {
		return fmt.Errorf("graphdef: pbtxt: %w", err)
	}
	return nil
}

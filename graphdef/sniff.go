package graphdef

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Form is a way in which files hold models, or data that is mistaken for one.
type Form int

// The forms that Sniff tells apart. Load reads the first three.
const (
	FormUnknown        Form = iota
	FormGraphDef            // binary GraphDef (.pb)
	FormPbtxt               // GraphDef in protobuf's text format (.pbtxt)
	FormText                // the text form of this package, one node a line (.txt)
	FormEmpty               // no bytes
	FormMetaGraph           // MetaGraphDef (.meta), binary or text
	FormSavedModel          // saved_model.pb or .pbtxt
	FormCheckpoint          // index of a checkpoint, or a V1 checkpoint
	FormCheckpointList      // the file "checkpoint", which names the latest one
	FormHDF5
	FormKeras // .keras archive
	FormZip
	FormTFLite
	FormONNX
	FormTFJS
	FormTFRecord
	FormGzip
	FormChunked       // chunked SavedModel proto (.cpb)
	FormSentencePiece // SentencePiece vocabulary (.model)
)

var forms = map[Form]struct{ name, advice string }{
	FormUnknown:        {"in no form that is known", "give a frozen GraphDef (.pb, .pbtxt) or a SavedModel directory"},
	FormGraphDef:       {"a GraphDef", ""},
	FormPbtxt:          {"a GraphDef as text", ""},
	FormText:           {"a graph in text form", ""},
	FormEmpty:          {"empty", "write the file again"},
	FormMetaGraph:      {"a MetaGraphDef (.meta)", "its weights are in the checkpoint beside it: freeze the two together"},
	FormSavedModel:     {"a SavedModel", "pass its directory, which holds the weights: freeze it"},
	FormCheckpoint:     {"a checkpoint", "a checkpoint holds weights and no graph: give the .meta or the SavedModel, and the checkpoint by its prefix"},
	FormCheckpointList: {"the list of a directory's checkpoints", "give the .meta or the SavedModel, and the checkpoint by its prefix"},
	FormHDF5:           {"HDF5 (Keras .h5)", "load it in Keras and export a SavedModel: model.export(directory)"},
	FormKeras:          {"a Keras archive (.keras)", "load it in Keras and export a SavedModel: model.export(directory)"},
	FormZip:            {"a zip archive", "unpack it first"},
	FormTFLite:         {"a TensorFlow Lite model", "it is converted already: start from the SavedModel that it was made of"},
	FormONNX:           {"an ONNX model", "start from the TensorFlow model that it was made of"},
	FormTFJS:           {"a TensorFlow.js model", "start from the TensorFlow model that it was made of"},
	FormTFRecord:       {"a TFRecord file", "it holds data and no model"},
	FormGzip:           {"compressed (gzip)", "unpack it first"},
	FormChunked:        {"a chunked SavedModel (.cpb)", "save it again without experimental_image_format"},
	FormSentencePiece:  {"a SentencePiece vocabulary", "it goes beside the model, not in its place"},
}

// String describes the form in words that follow "the file is".
func (f Form) String() string {
	if i, ok := forms[f]; ok {
		return i.name
	}
	return fmt.Sprintf("form %d", int(f))
}

// Advice says what to do with a file of a form that Load does not read; empty for those that it reads.
func (f Form) Advice() string { return forms[f].advice }

// FormError is the error of Load for a file in another form than a graph's, so that callers can turn to the package
// that reads it.
type FormError struct {
	Path string
	Form Form
	Head []byte // the first bytes, where the form is not known
}

func (e *FormError) Error() string {
	head := ""
	if e.Form == FormUnknown {
		head = fmt.Sprintf(" (it begins with % x)", e.Head)
	}
	return fmt.Sprintf("graphdef: %s is %v%s; %s", e.Path, e.Form, head, e.Form.Advice())
}

// magics are the forms that their first bytes tell.
var magics = []struct {
	at    int
	bytes string
	form  Form
}{
	{0, "\x89HDF\r\n\x1a\n", FormHDF5},
	{0, "\x1f\x8b", FormGzip},
	{0, "\x83\xaf\x70\xd1\x0d\x88\x4a\x3f\x00\x00\x00\x00\x00\x00\x00\x00", FormChunked}, // Riegeli
	{4, "TFL3", FormTFLite},
	{0, "\x08\x01\x12", FormSavedModel},
}

// bundleMagic ends the leveldb-style table of a checkpoint's index.
const bundleMagic = "\x57\xfb\x80\x8b\x24\x75\x47\xdb"

// Sniff tells the form of a file by its content, never by its name: parsers of the wrong protobuf type often succeed
// and give an empty model.
func Sniff(b []byte) Form {
	if len(b) == 0 {
		return FormEmpty
	}
	for _, m := range magics {
		if len(b) >= m.at && bytes.HasPrefix(b[m.at:], []byte(m.bytes)) {
			return m.form
		}
	}
	switch {
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		// The names of the members stand uncompressed in the archive.
		if bytes.Contains(b, []byte("model.weights.h5")) {
			return FormKeras
		}
		return FormZip
	case bytes.HasSuffix(b, []byte(bundleMagic)):
		return FormCheckpoint
	case isTFRecord(b):
		return FormTFRecord
	case isONNX(b):
		return FormONNX
	}
	if f := sniffText(b); f != FormUnknown {
		return f
	}
	return sniffGraph(b)
}

// isTFRecord checks the masked checksum of the first record's length.
func isTFRecord(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	c := crc32.Checksum(b[:8], crc32.MakeTable(crc32.Castagnoli))
	return binary.LittleEndian.Uint32(b[8:]) == (c>>15|c<<17)+0xa282ead8
}

// isONNX tells ModelProto: ir_version, then a string or message that follows it in files.
func isONNX(b []byte) bool {
	return len(b) > 3 && b[0] == 8 && b[1] >= 3 && b[1] <= 13 && (b[2] == 0x12 || b[2] == 0x1a || b[2] == 0x22 || b[2] == 0x3a)
}

// sniffGraph tells binary GraphDefs from MetaGraphDefs, SavedModels and vocabularies by what their first message holds.
// Files that break off later are still told right, so that the error is about the damage.
func sniffGraph(b []byte) Form {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || typ != protowire.BytesType {
		return FormUnknown
	}
	size, m := protowire.ConsumeVarint(b[n:])
	if m < 0 {
		return FormUnknown
	}
	first := b[n+m:]
	first = first[:min(uint64(len(first)), size)]
	if num == graphNode {
		switch {
		case isNode(first):
			return FormGraphDef
		case isPiece(first):
			return FormSentencePiece
		}
	}
	// Messages of other order: look for the first node, here and one level down.
	for rest := b; len(rest) > 0; {
		f, more, err := nextField(rest)
		if err != nil {
			break
		}
		switch {
		case f.is(graphNode) && isNode(f.raw):
			return FormGraphDef
		case f.is(2) && holdsNode(f.raw):
			return FormMetaGraph
		case f.is(2) && bytes.HasPrefix(f.raw, []byte("\n")) && sniffInner(f.raw) == FormMetaGraph:
			return FormSavedModel
		}
		rest = more
	}
	return FormUnknown
}

// sniffInner tells a MetaGraphDef inside another message.
func sniffInner(b []byte) Form {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			break
		}
		if f.is(2) && holdsNode(f.raw) {
			return FormMetaGraph
		}
		b = rest
	}
	return FormUnknown
}

// holdsNode reports whether b is a GraphDef: its first field 1 is a node.
func holdsNode(b []byte) bool {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return false
		}
		if f.is(graphNode) {
			return isNode(f.raw)
		}
		b = rest
	}
	return false
}

// isNode reports whether b, which may be cut short, is a NodeDef: a legal name and an op, which come first in files.
func isNode(b []byte) bool {
	var name, op string
	for len(b) > 0 && (name == "" || op == "") {
		f, rest, err := nextField(b)
		if err != nil {
			break
		}
		switch {
		case f.is(nodeName):
			name = string(f.raw)
		case f.is(nodeOp):
			op = string(f.raw)
		case f.num > 7 || f.typ != protowire.BytesType:
			return false
		}
		b = rest
	}
	return validName(name) && op != "" && strings.Trim(op, opLetters) == ""
}

const opLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_>./-"

// isPiece reports whether b is a SentencePiece entry: a piece and a float score.
func isPiece(b []byte) bool {
	f, rest, err := nextField(b)
	if err != nil || !f.is(1) || !utf8.Valid(f.raw) {
		return false
	}
	f, _, err = nextField(rest)
	return err == nil && f.num == 2 && f.typ == protowire.Fixed32Type
}

// textWords are the fields that text files begin with.
var textWords = map[string]Form{
	"node": FormPbtxt, "versions": FormPbtxt, "library": FormPbtxt, "version": FormPbtxt, "debug_info": FormPbtxt,
	"saved_model_schema_version": FormSavedModel, "meta_graphs": FormSavedModel,
	"meta_info_def": FormMetaGraph, "graph_def": FormMetaGraph, "saver_def": FormMetaGraph, "collection_def": FormMetaGraph,
	"signature_def":         FormMetaGraph,
	"model_checkpoint_path": FormCheckpointList, "all_model_checkpoint_paths": FormCheckpointList,
}

// sniffText looks at the first word of a text file that is not in a comment.
func sniffText(b []byte) Form {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	for {
		b = bytes.TrimLeft(b, " \t\r\n")
		if !bytes.HasPrefix(b, []byte("#")) {
			break
		}
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	head := b[:min(len(b), 4096)]
	if len(head) == 0 || bytes.ContainsAny(head, "\x00\x01\x02\x03\x04\x05\x06\x07\x08") {
		return FormUnknown
	}
	if head[0] == '{' {
		if bytes.Contains(b, []byte(`"modelTopology"`)) || bytes.Contains(head, []byte(`"weightsManifest"`)) {
			return FormTFJS
		}
		return FormUnknown
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if isTextForm(string(line)) {
		return FormText
	}
	word := len(head) - len(bytes.TrimLeft(head, "abcdefghijklmnopqrstuvwxyz_"))
	after := bytes.TrimLeft(head[word:], " \t\r\n")
	if form, ok := textWords[string(head[:word])]; ok && len(after) > 0 && strings.IndexByte("{:<[", after[0]) >= 0 {
		return form
	}
	return FormUnknown
}

// isTextForm reports whether a line begins as one of this package's text form does: a node (name = Op…), a function
// (func name … {) or the graph's own line (graph key=value …).
func isTextForm(line string) bool {
	name, rest, ok := strings.Cut(line, "=")
	name, rest = strings.TrimSpace(name), strings.TrimSpace(rest)
	first, _, _ := strings.Cut(line, " ")
	switch {
	case first == "graph" || first == "func":
		return ok || strings.HasSuffix(strings.TrimSpace(line), "{")
	case !ok || rest == "" || strings.ContainsAny(name, " \t{"):
		return false
	}
	return validName(name)
}
